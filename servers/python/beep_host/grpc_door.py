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

    def __init__(self, grpc: object, server: object, refuse: object) -> None:
        self._server = server
        self._token = server.token.encode()

        def refused(requests: object, context: object) -> None:
            refuse(context, status_of(self._refusal(context.invocation_metadata())))

        # Of the kind that asks for its messages itself, which this one never does.
        self._refused = grpc.stream_unary_rpc_method_handler(refused)

    def intercept_service(self, continuation: object, call: object) -> object:
        """See `grpc.ServerInterceptor`."""
        if not self._server.auth or self._is_right(_given(call.invocation_metadata)):
            return continuation(call)
        self._server.refused_tokens.add()
        return self._refused

    def _is_right(self, given: str | None) -> bool:
        scheme, _, token = (given or "").partition(" ")
        # Compared even when the scheme is wrong, so that the time says nothing.
        is_same = _compare_digest(token.strip(" ").encode("utf-8", "replace"), self._token)
        return is_same and scheme.lower() == "bearer"

    def _refusal(self, metadata: object) -> HttpError:
        found = "none was given" if _given(metadata) is None else "the one given is wrong"
        return HttpError(401, "authentication", f"Cannot authenticate: this server wants its token, and {found}")


def _given(metadata: object) -> str | None:
    """What the metadata shows; nothing where it shows two, of which one could be read and the other be judged."""
    found = [value for name, value in metadata if name == "authorization"]
    return found[0] if len(found) == 1 else None
