"""The pipe: a Unix socket, two connections per client.

On the *session lane* the session's own thread reads, runs and replies: the plain blocking loop, which nothing beats.
The *control lane* has a thread that only reads and hands over, so that a cancel or a ping never waits.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from _socket import AF_UNIX, SOCK_STREAM, SOL_SOCKET
from _socket import socket as Socket

from beep_host.callbacks import abandon
from beep_host.connection import FrameConnection
from beep_host.errors import (
    AuthenticationError,
    HostError,
    LimitError,
    ProtocolError,
    VersionError,
    error_payload,
)
from beep_host.execution import Call, ThreadState, check_request, run_call
from beep_host.handshake import matches, new_secret, proof
from beep_host.json_text import loads
from beep_host.protocol import PIPE_MAGIC, PROTOCOL_VERSION
from beep_host.replies import FrameReply, dumps
from beep_host.sessions import IMMEDIATE, is_nested

# Who has not proved anything gets little room and little time.
_HANDSHAKE_BYTES = 64 * 1024
_HANDSHAKE_S = 10.0
_BACKLOG = 128
# `socket.SO_PEERCRED` on Linux, where Python may not name it in `_socket`.
_SO_PEERCRED = 17


def listen(path: str) -> object:
    """Binds a socket that only this user can open."""
    sock = Socket(AF_UNIX, SOCK_STREAM)
    # The mode is that of the moment of bind; a chmod after it would leave a gap.
    previous = os.umask(0o177)
    try:
        sock.bind(path)
    finally:
        os.umask(previous)
    sock.listen(_BACKLOG)
    return sock


def serve(server: object, listener: object) -> None:
    """Accepts connections until the listener is closed; each gets a thread of its own."""
    import threading

    while not server.is_closing:
        try:
            fd, _ = listener._accept()
        except OSError as error:
            if server.is_closing:
                return
            server.on_descriptor_lost(error)
            return
        sock = Socket(AF_UNIX, SOCK_STREAM, 0, fd)
        threading.Thread(target=_serve_connection, args=(server, sock), name="beep-pipe", daemon=True).start()


def _serve_connection(server: object, sock: object) -> None:
    """What a connection is and may; the serving itself ends the counting, since another thread may take it over."""
    admission = server.admissions.enter(sock)
    serving = None
    try:
        serving = _open(server, sock, admission)
    except OSError:
        pass  # too slow, or gone, before it was anybody
    finally:
        if serving is None:
            sock.close()
            admission.leave()
    if serving is not None:
        serving()


def _open(server: object, sock: object, admission: object) -> object | None:
    """Lets a connection in and gives the function that serves it and leaves the admission; None when it is refused."""
    if not _is_same_user(sock):
        return None
    sock.settimeout(_HANDSHAKE_S)
    first = _first_bytes(sock)
    if first[:1] in (b"{", b"\xef"):
        return _open_newline_json(server, sock, admission, first)
    connection = FrameConnection(sock, _HANDSHAKE_BYTES, first[len(PIPE_MAGIC) :])
    connection.on_lost = server.on_descriptor_lost
    try:
        if first[: len(PIPE_MAGIC)] != PIPE_MAGIC:
            raise ProtocolError('Cannot open connection: it does not begin with "BEEP"')
        lane, client = _handshake(server, connection, admission)
    except HostError as error:
        connection.reply(dumps(["refused", error.payload()]), ())
        return None
    sock.settimeout(None)
    connection.decoder.max_frame_bytes = server.limits.max_frame_bytes
    if lane == "session":
        # Before the client is told its session, with which it opens the other lane.
        client.control.expect()
    connection.reply(dumps(["welcome", server.welcome(client)]), ())
    if lane == "control":
        return lambda: _serve_control_lane(client, connection, admission)
    return lambda: _serve_session_lane(server, client, connection, admission)


def _is_same_user(sock: object) -> bool:
    if sys.platform != "linux":
        return True
    from _struct import unpack

    _, uid, _ = unpack("3i", sock.getsockopt(SOL_SOCKET, _SO_PEERCRED, 12))
    return uid in (os.getuid(), 0)


def _first_bytes(sock: object) -> bytes:
    first = b""
    while len(first) < len(PIPE_MAGIC) and PIPE_MAGIC.startswith(first):
        chunk = sock.recv(4096)
        if not chunk:
            break
        first += chunk
    return first


def _handshake(server: object, connection: FrameConnection, admission: object) -> tuple[str, object]:
    hello = _expect(connection, "hello")
    if type(hello) is not dict:
        raise ProtocolError("Cannot read hello: its second item is not an object")
    if hello.get("protocol") != PROTOCOL_VERSION:
        raise VersionError(
            f"Cannot open connection: the client speaks protocol {hello.get('protocol')!r}, "
            f"this server {PROTOCOL_VERSION}"
        )
    client_nonce, server_nonce = hello.get("nonce"), new_secret(16)
    if type(client_nonce) is not str or not 16 <= len(client_nonce) <= 128:
        raise ProtocolError("Cannot read hello: nonce must be a string of 16 to 128 characters")
    challenge = {
        "protocol": PROTOCOL_VERSION,
        "nonce": server_nonce,
        "proof": proof(server.token, "server", client_nonce, server_nonce) if server.auth else "",
        "auth": server.auth,
    }
    connection.reply(dumps(["challenge", challenge]), ())
    given = _expect(connection, "proof")
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


def _expect(connection: FrameConnection, word: str) -> object:
    frame = connection.next_frame()
    if frame is None:
        raise OSError("the peer left")
    message = loads(frame[0])
    if type(message) is list and len(message) == 2 and message[0] == word:
        return message[1]
    raise ProtocolError(f'Cannot open connection: ["{word}", …] was expected')


def _serve_control_lane(client: object, connection: FrameConnection, admission: object) -> None:
    reply = FrameReply(connection)
    client.control.open(reply)
    try:
        while True:
            frame = connection.next_frame()
            if frame is None:
                return
            call_id, operation, args, options = check_request(loads(frame[0]))
            call = Call(call_id, operation, args, frame[1], options, reply)
            if "parent" in options and "session" not in options:
                # Made by a function for which a coroutine or a thread waits: the session's thread may be waiting for
                # that one, so the call must not wait for it.
                options["concurrent"] = 1
            if operation in IMMEDIATE or "concurrent" in options or "session" in options:
                client.start(call)
            else:
                call.client = client
                call.fail(ProtocolError(f'Cannot run operation "{operation}" on the control lane'))
    except HostError as error:
        connection.reply(dumps([0, "error", error_payload(error)]), ())
    finally:
        connection.close()
        admission.leave()
        # A client that has gone is noticed here first: the session's thread, which may be running its code without
        # end, reads its own lane only between calls.
        client.close()


def _serve_session_lane(server: object, client: object, connection: FrameConnection, admission: object) -> None:
    lane = SessionLane(client, connection, admission)
    # Which thread the session gets is decided by its first call, so that a client that only looks takes none.
    if connection.decoder.at_boundary and not connection.read():
        lane.end()
        return
    if not server.main_thread.claim_patiently(lane.serve, client.session):
        lane.serve(ThreadState(False))


class SessionLane:
    """The loop of a session's own thread on its own connection."""

    def __init__(self, client: object, connection: FrameConnection, admission: object) -> None:
        self.admission = admission
        self.client = client
        self.connection = connection
        self.reply = FrameReply(connection)
        self.deferred: list[Call] = []
        self.state: ThreadState | None = None
        # A pipe of our own that wakes the thread out of its waiting for a callback; made by the first one.
        self._wake_read = self._wake_write = -1

    def serve(self, state: ThreadState) -> None:
        """Reads and runs until the connection ends. Never raises."""
        client = self.client
        client.session.thread_ident = state.ident
        client.session.waiter = self
        self.state = state
        try:
            client.session.context.run(self._loop, state)
        except HostError as error:
            self.connection.reply(dumps([0, "error", error_payload(error)]), ())
        finally:
            self.end()

    def end(self) -> None:
        """Ends the session with its connection."""
        self.connection.close()
        self.admission.leave()
        self.client.close()
        self.client.session.ended()
        if self._wake_read >= 0:
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _loop(self, state: ThreadState) -> None:
        connection = self.connection
        next_frame = connection.decoder.next
        while True:
            frame = next_frame()
            if frame is None:
                if not connection.read():
                    return
                continue
            call = self.read_call(frame)
            frame = None
            if call is not None:
                run_call(call, state)
                call = None
            while self.deferred:
                run_call(self.deferred.pop(0), state)

    def wake(self) -> None:
        """Makes `wait` look at its invocation; called from any thread."""
        if get_ident() != self.state.ident:
            os.write(self._wake_write, b"x")

    def wait(self, invocation: object) -> None:
        """Goes on reading: runs nested what the client's function calls, and keeps everything else for later."""
        import select

        if self._wake_read < 0:
            self._wake_read, self._wake_write = os.pipe()
        connection = self.connection
        poll = select.poll()
        poll.register(connection.sock.fileno(), select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while invocation.answer is None:
            frame = connection.decoder.next()
            if frame is not None:
                call = self.read_call(frame)
                frame = None
                if call is not None:
                    if is_nested(call, self.state):
                        run_call(call, self.state)
                    else:
                        self.deferred.append(call)
                continue
            ready = [fd for fd, _ in poll.poll()]
            if self._wake_read in ready:
                os.read(self._wake_read, 64)
            elif not connection.read():
                abandon(self.client)

    def read_call(self, frame: tuple[bytes, list]) -> Call | None:
        """The call of a frame, entered and ready to be run here; None when it was answered or handed on."""
        call_id, operation, args, options = check_request(loads(frame[0]))
        client = self.client
        client.last_read = call_id
        call = Call(call_id, operation, args, frame[1], options, self.reply)
        if operation in IMMEDIATE or (options and ("concurrent" in options or "session" in options)):
            client.start(call)
            return None
        call.client = client
        call.session = client.session
        try:
            client.admit(call)
        except HostError as error:
            call.fail(error)
            return None
        return call


def _open_newline_json(server: object, sock: object, admission: object, first: bytes) -> object | None:
    if server.auth or not admission.promote():
        reason = (
            "newline JSON carries no token; start the server with --no-auth to allow it"
            if server.auth
            else "maxConnections is reached"
        )
        sock.sendall(dumps({"result": None, "error": f"Cannot open connection: {reason}"}) + b"\n")
        return None
    from beep_host import newline_json

    sock.settimeout(None)

    def serve_lines() -> None:
        try:
            newline_json.serve(sock, first, server.default_client, server.limits)
        finally:
            sock.close()
            admission.leave()

    return serve_lines
