"""The pipe: a Unix socket, two connections per client.

On the *session lane* the session's own thread reads, runs and replies: the plain blocking loop, which nothing beats.
The *control lane* has a thread that only reads and hands over, so that a cancel or a ping never waits.
"""

from __future__ import annotations

import os

# What waiting for a callback needs is taken now: user code may put something else in its place.
from os import close as close_descriptor
from os import pipe as make_pipe
from os import read as read_descriptor
from os import write as write_descriptor
from _thread import get_ident, start_new_thread
from _socket import AF_UNIX, SOCK_STREAM
from _socket import socket as Socket
from time import sleep

from beep_host.callbacks import abandon
from beep_host.clients import IMMEDIATE
from beep_host.connection import FrameConnection
from beep_host.errors import HostError, ProtocolError, error_payload
from beep_host.execution import Call, ThreadState, check_request, run_call
from beep_host.forking import close_listening
from beep_host.json_text import loads
from beep_host.nesting import nesting
from beep_host.pipe_opening import open_connection
from beep_host.replies import FrameReply, dumps
from beep_host.sessions import is_nested
from beep_host.threads import ServerThread

# A connect beyond it fails at once on a Unix socket; the system lowers it to what it allows.
_BACKLOG = 4096
# No descriptor, buffer or memory is to be had just now: ENFILE, EMFILE, ENOMEM, ENOBUFS here and on macOS; and a
# connection that ended before it was accepted (ECONNABORTED).
_SHORTAGES = (23, 24, 12, 105, 55, 103, 53)
_SHORTAGE_S = 0.05
# How often the end of a client is looked for while its control lane is not open, which takes it a moment.
_HALF_OPEN_S = 0.25


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


def start(server: object, path: str) -> None:
    """Listens at a path until the server closes, and removes the socket then."""
    listener = listen(path)

    def close() -> None:
        try:
            listener.shutdown(2)
        except OSError:
            pass  # some systems refuse it for a listening socket; closing wakes accept() there
        listener.close()
        if os.path.exists(path):
            os.unlink(path)

    server.on_close.append(close)
    server.on_fork.append(lambda: close_listening(listener))
    start_new_thread(serve, (server, listener))


def serve(server: object, listener: object) -> None:
    """Accepts connections until the listener is closed; each gets a thread of its own."""
    while not server.is_closing:
        try:
            fd, _ = listener._accept()
        except OSError as error:
            if server.is_closing:
                return
            if error.errno not in _SHORTAGES:
                server.on_descriptor_lost(error)
                return
            server.admissions.drop_oldest_stranger()
            sleep(_SHORTAGE_S)  # nothing tells when descriptors of the process or the machine come free
            continue
        sock = Socket(AF_UNIX, SOCK_STREAM, 0, fd)
        # Counted here and not by its thread: a child that is forked meanwhile closes what is counted.
        admission = server.admissions.enter(sock)
        try:
            ServerThread("beep-pipe", _serve_connection, server, sock, admission).start()
        except RuntimeError:
            # No thread can be started: this connection is lost, the server is not.
            sock.close()
            admission.leave()


def _serve_connection(server: object, sock: object, admission: object) -> None:
    """What a connection is and may; the serving itself ends the counting, since another thread may take it over."""
    opened = None
    try:
        opened = open_connection(server, sock, admission)
    except OSError:
        pass  # too slow, or gone, before it was anybody
    finally:
        if opened is None:
            sock.close()
            admission.leave()
    if opened is None:
        return
    if opened.lane == "control":
        _serve_control_lane(opened.client, opened.connection, admission)
    elif opened.lane == "session":
        _serve_session_lane(server, opened.client, opened.connection, admission)
    else:
        _serve_lines(server, sock, opened, admission)


def _serve_lines(server: object, sock: object, opened: object, admission: object) -> None:
    from beep_host import newline_json

    try:
        newline_json.serve(sock, opened.first_bytes, opened.client, server.limits)
    finally:
        sock.close()
        admission.leave()


def _serve_control_lane(client: object, connection: FrameConnection, admission: object) -> None:
    reply = FrameReply(connection)
    client.control.open(reply)
    try:
        while _take_control_call(client, connection, reply):
            pass
    except HostError as error:
        connection.reply(dumps([0, "error", error_payload(error)]), ())
    finally:
        connection.close()
        admission.leave()
        # A client that has gone is noticed here first: the session's thread, which may be running its code without
        # end, reads its own lane only between calls.
        client.close()


def _take_control_call(client: object, connection: FrameConnection, reply: FrameReply) -> bool:
    """Reads a call and starts it; False at the end. Its own function, so that nothing of a call is kept until the next."""
    frame = connection.next_frame()
    if frame is None:
        return False
    call_id, operation, args, options = check_request(loads(frame[0]))
    call = Call(call_id, operation, args, frame[1], options, reply)
    if len(frame[0]) > nesting.shallow_bytes and client.refuses_depth(call, frame[0]):
        return True
    if "parent" in options and "session" not in options:
        # Made by a function for which a coroutine or a thread waits: the session's thread may be waiting for that one,
        # so the call must not wait for it.
        options["concurrent"] = 1
    if operation in IMMEDIATE or "concurrent" in options or "session" in options:
        client.start(call)
    else:
        call.client = client
        call.fail(ProtocolError(f'Cannot run operation "{operation}" on the control lane'))
    return True


def _serve_session_lane(server: object, client: object, connection: FrameConnection, admission: object) -> None:
    lane = SessionLane(client, connection, admission)
    # Which thread the session gets is decided by its first call, so that a client that only looks takes none.
    if connection.decoder.at_boundary and not connection.read():
        lane.end()
        return
    if not client.control.is_decided(0):
        start_new_thread(_watch_half_open, (client, connection.sock.fileno()))
    if not server.main_thread.claim_patiently(lane.serve, client.session):
        lane.serve(ThreadState(False))


def _watch_half_open(client: object, descriptor: int) -> None:
    """Closes a client that goes away before its control lane is open, from where its end is noticed later on: its first
    call may run already, and without end."""
    import select

    poll = select.poll()
    poll.register(descriptor, 0)  # nothing but the end, which is always told
    while not client.control.is_decided(_HALF_OPEN_S):
        if poll.poll(0):
            client.close()
            return


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
            close_descriptor(self._wake_read)
            close_descriptor(self._wake_write)

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
            write_descriptor(self._wake_write, b"x")

    def wait(self, invocation: object) -> None:
        """Goes on reading: runs nested what the client's function calls, and keeps everything else for later."""
        import select

        if self._wake_read < 0:
            self._wake_read, self._wake_write = make_pipe()
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
                read_descriptor(self._wake_read, 64)
            elif not connection.read():
                abandon(self.client)

    def read_call(self, frame: tuple[bytes, list]) -> Call | None:
        """The call of a frame, entered and ready to be run here; None when it was answered or handed on."""
        call_id, operation, args, options = check_request(loads(frame[0]))
        client = self.client
        call = Call(call_id, operation, args, frame[1], options, self.reply)
        try:
            if len(frame[0]) > nesting.shallow_bytes and client.refuses_depth(call, frame[0]):
                return None
            if operation in IMMEDIATE or (options and ("concurrent" in options or "session" in options)):
                client.start(call)
                return None
            call.client = client
            call.session = client.session
            client.admit(call)
        except HostError as error:
            call.fail(error)
            return None
        finally:
            client.last_read = call_id
        return call
