"""The RPC transport: Connect on the given port; or, where gRPC is asked for, that on the given port and Connect beside it."""

from __future__ import annotations

from beep_host.connect_server import ConnectServer
from beep_host.http_server import from_bootstrap

# Each call that is under way has a connection of its own.
_CONNECTIONS_PER_CLIENT = 4


def listen(server: object, bootstrap: dict) -> str:
    """Listens; gives the address."""
    server.limits.max_connections *= _CONNECTIONS_PER_CLIENT
    is_grpc = bool(bootstrap.get("grpc"))
    port = (bootstrap.get("connectPort") if is_grpc else bootstrap.get("port")) or 0
    connect = from_bootstrap(server, {**bootstrap, "port": port}, ConnectServer)
    server.on_close.append(connect.close)
    server.on_fork.append(connect.close_in_child)
    if not is_grpc:
        connect.start()
        return connect.address
    from beep_host import grpc_server

    try:
        address = grpc_server.serve(server, bootstrap)
    except BaseException:
        connect.close()
        raise
    connect.start()
    server.ready_facts["connectAddress"] = connect.address
    return address
