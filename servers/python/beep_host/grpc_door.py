"""Whom gRPC lets in: its TLS, its bounds, and the token, which is asked for before a message is read.

grpcio reads the message of a call with one request before it runs the call, however large, and a thread of its pool
waits for the next message of a stream. Neither is for strangers, so they are refused by what the metadata says: by a
method that reads nothing. Health checks and reflection are behind the same door.
"""

from __future__ import annotations

from _operator import _compare_digest

from beep_host.http_parser import HttpError
from beep_host.rpc_status import status_of


def bounds(limits: object) -> list:
    """The limits of the server in the words of grpcio."""
    return [
        ("grpc.max_receive_message_length", limits.max_frame_bytes),
        ("grpc.max_send_message_length", -1),
        # Two servers on one port would share its calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", max(1, limits.max_in_flight)),
        # From this size on some are refused, and beyond it all.
        ("grpc.max_metadata_size", limits.max_head_bytes),
        ("grpc.absolute_max_metadata_size", limits.max_head_bytes),
        ("grpc.server_handshake_timeout_ms", max(1, limits.head_timeout_ms)),
        ("grpc.max_connection_idle_ms", max(1, limits.idle_timeout_ms)),
        # Identity alone: what is a few bytes on the wire must not be many in memory.
        ("grpc.compression_enabled_algorithms_bitset", 1),
    ]


def credentials(grpc: object, tls: dict) -> object:
    """The certificate for `{certFile, keyFile, clientCaFile}`. Raises `ArgumentError` for one that cannot be used."""
    from beep_host.tls import make_context

    make_context(tls)  # says what is wrong with the files, of which grpcio says nothing
    client_ca = tls.get("clientCaFile")
    return grpc.ssl_server_credentials(
        [(_read(tls["keyFile"]), _read(tls["certFile"]))],
        None if client_ca is None else _read(client_ca),
        client_ca is not None,
    )


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class Door:
    """An interceptor of all calls; `refuse(context, failure)` ends one."""

    def __init__(self, grpc: object, server: object, refuse: object, allowed_origins: list[str]) -> None:
        self._server = server
        self._token = server.token.encode()
        self._origins = frozenset(allowed_origins)

        def refused(requests: object, context: object) -> None:
            refuse(context, status_of(self._refusal(context.invocation_metadata())))

        # Of the kind that asks for its messages itself, which this one never does.
        self._refused = grpc.stream_unary_rpc_method_handler(refused)

    def intercept_service(self, continuation: object, call: object) -> object:
        """See `grpc.ServerInterceptor`."""
        refusal = self._refusal(call.invocation_metadata)
        if refusal is None:
            return continuation(call)
        if refusal.status == 401:
            self._server.refused_tokens.add()
        return self._refused

    def _refusal(self, metadata: object) -> HttpError | None:
        """What is said to a stranger, and to a web page as over HTTP; None to others."""
        given = []
        for name, value in metadata:
            if name == "authorization":
                given.append(value)
            elif name == "origin" and value not in self._origins:
                return HttpError(403, "authentication", "Cannot answer a web page: its origin is not allowed")
        if not self._server.auth or self._is_right(given):
            return None
        found = "none was given"
        if given:
            found = "the one given is wrong" if len(given) == 1 else "several were given"
        return HttpError(401, "authentication", f"Cannot authenticate: this server wants its token, and {found}")

    def _is_right(self, given: list[str]) -> bool:
        """Of two, one could be read and the other be judged."""
        scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
        # Compared even when the scheme is wrong, so that the time says nothing.
        is_same = _compare_digest(token.strip(" ").encode("utf-8", "replace"), self._token)
        return is_same and scheme.lower() == "bearer"
