"""How a connection of the pipe is let in: who is there, in which dialect, and whether both sides know the token.

    accepted ──► same user? ──► first bytes ──"BEEP"──► hello, challenge, proof ──► a lane of a client
                    no: closed      └────── "{" or a byte order mark ──► newline JSON
Who has not proved anything gets little room (`_HANDSHAKE_BYTES`) and little time (`headTimeoutMs`, for all of it).
"""

from __future__ import annotations

import os
import sys
from _socket import SOL_SOCKET
from _socket import timeout as SocketTimeout  # an alias of TimeoutError from 3.10 on
from time import monotonic, sleep

from beep_host.connection import FrameConnection
from beep_host.errors import AuthenticationError, HostError, LimitError, ProtocolError, VersionError
from beep_host.handshake import matches, new_secret, proof
from beep_host.json_text import loads
from beep_host.protocol import PIPE_MAGIC, PROTOCOL_VERSION
from beep_host.replies import dumps

_HANDSHAKE_BYTES = 64 * 1024
# `socket.SO_PEERCRED` on Linux, where Python may not name it in `_socket`.
_SO_PEERCRED = 17


class Opened:
    """A connection that was let in: as a lane of a client, or (`connection` None) as one that speaks lines."""

    def __init__(self, lane: str, client: object, connection: FrameConnection | None, first_bytes: bytes) -> None:
        self.lane = lane
        self.client = client
        self.connection = connection
        self.first_bytes = first_bytes


def open_connection(server: object, sock: object, admission: object) -> Opened | None:
    """Lets a connection in, or refuses it with a reason and gives None. Raises `OSError` when the peer has gone."""
    if not is_same_user(sock):
        return None
    deadline = _Deadline(sock, server.limits.head_timeout_ms)
    first = _first_bytes(sock, deadline)
    if first[:1] in (b"{", b"\xef"):
        return _open_newline_json(server, sock, admission, first)
    connection = FrameConnection(sock, _HANDSHAKE_BYTES, first[len(PIPE_MAGIC) :])
    connection.on_lost = server.on_descriptor_lost
    try:
        if first[: len(PIPE_MAGIC)] != PIPE_MAGIC:
            raise ProtocolError('Cannot open connection: it does not begin with "BEEP"')
        lane, client = _shake_hands(server, connection, admission, deadline)
    except HostError as error:
        if type(error) is AuthenticationError:
            # Makes guessing slow; only ever on a connection that is not trusted, on its own thread.
            server.refused_tokens.add()
            sleep(server.limits.refused_token_delay_ms / 1000)
        connection.reply(dumps(["refused", error.payload()]), ())
        return None
    sock.settimeout(None)
    connection.decoder.max_frame_bytes = server.limits.max_frame_bytes
    connection.max_buffered_bytes = server.limits.max_buffered_bytes
    if lane == "session":
        # Before the client is told its session, with which it opens the other lane.
        client.control.expect()
    connection.reply(dumps(["welcome", server.welcome(client)]), ())
    return Opened(lane, client, connection, b"")


def is_same_user(sock: object) -> bool:
    """Whether the peer is this user, or root. Elsewhere than on Linux the socket's mode alone says so."""
    if sys.platform != "linux":
        return True
    from _struct import unpack

    _, uid, _ = unpack("3i", sock.getsockopt(SOL_SOCKET, _SO_PEERCRED, 12))
    return uid in (os.getuid(), 0)


class _Deadline:
    """The time that a whole handshake has, however its bytes dribble in."""

    def __init__(self, sock: object, milliseconds: int) -> None:
        self._socket = sock
        self._milliseconds = milliseconds
        self._end = monotonic() + milliseconds / 1000

    def limit(self) -> None:
        """Limits the next read to what is left."""
        left = self._end - monotonic()
        if left <= 0:
            raise ProtocolError(
                f"Cannot open connection: it was not open within headTimeoutMs, {self._milliseconds}"
            )
        self._socket.settimeout(left)


def _first_bytes(sock: object, deadline: _Deadline) -> bytes:
    first = b""
    while len(first) < len(PIPE_MAGIC) and PIPE_MAGIC.startswith(first):
        try:
            deadline.limit()
        except ProtocolError:
            break  # said by what comes next, which knows how
        try:
            chunk = sock.recv(4096)
        except SocketTimeout:
            break
        if not chunk:
            break
        first += chunk
    return first


def _shake_hands(
    server: object, connection: FrameConnection, admission: object, deadline: _Deadline
) -> tuple[str, object]:
    hello = _expect(connection, "hello", deadline)
    if type(hello) is not dict:
        raise ProtocolError("Cannot read hello: its second item is not an object")
    if hello.get("protocol") != PROTOCOL_VERSION:
        raise VersionError(
            f"Cannot open connection: the client speaks protocol {hello.get('protocol')!r:.100}, "
            f"this server {PROTOCOL_VERSION}"
        )
    client_nonce, server_nonce = hello.get("nonce"), new_secret(16)
    if type(client_nonce) is not str or not 16 <= len(client_nonce) <= 128 or not client_nonce.isascii():
        raise ProtocolError("Cannot read hello: nonce must be a string of 16 to 128 ASCII characters")
    challenge = {
        "protocol": PROTOCOL_VERSION,
        "nonce": server_nonce,
        "proof": proof(server.token, "server", client_nonce, server_nonce) if server.auth else "",
        "auth": server.auth,
    }
    connection.reply(dumps(["challenge", challenge]), ())
    given = _expect(connection, "proof", deadline)
    if server.auth and not matches(proof(server.token, "client", client_nonce, server_nonce), given):
        raise AuthenticationError("Cannot open connection: the proof does not fit this server's token")
    if not admission.promote():
        raise LimitError(
            f"Cannot open connection: maxConnections, {server.limits.max_connections}, are open",
            hint="Close backends that are done with, or start the server with a larger maxConnections.",
        )
    lane = hello.get("lane")
    if lane == "session":
        return lane, server.open_client()
    if lane == "control" and type(hello.get("session")) is str:
        return lane, server.find_client(hello["session"])
    raise ProtocolError('Cannot read hello: lane must be "session", or "control" with a session')


def _expect(connection: FrameConnection, word: str, deadline: _Deadline) -> object:
    while True:
        frame = connection.decoder.next()
        if frame is not None:
            break
        deadline.limit()
        if not connection.read():
            deadline.limit()  # too slow, or gone?
            raise OSError("the peer left")
    message = loads(frame[0])
    if type(message) is list and len(message) == 2 and message[0] == word:
        return message[1]
    raise ProtocolError(f'Cannot open connection: ["{word}", …] was expected')


def _open_newline_json(server: object, sock: object, admission: object, first: bytes) -> Opened | None:
    if server.auth or not admission.promote():
        reason = (
            "newline JSON carries no token; start the server with --no-auth to allow it"
            if server.auth
            else "maxConnections is reached"
        )
        sock.sendall(dumps({"result": None, "error": f"Cannot open connection: {reason}"}) + b"\n")
        return None
    sock.settimeout(None)
    return Opened("lines", server.default_client, None, first)
