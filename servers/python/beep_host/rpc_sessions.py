"""Sessions over RPC: they live as long as their stream, and put in order what travels side by side.

Requests of one client arrive on connections that have no order among each other. A call with a `sequence` waits here
for the ones before it; each further session, and the calls that a callback makes, count for themselves.
"""

from __future__ import annotations

from _thread import allocate_lock

from beep_host.clients import Client
from beep_host.errors import StaleHandle
from beep_host.execution import Call


class RpcClient(Client):
    """A client whose session is tied to a stream."""

    def __init__(self, server: object, session_id: str) -> None:
        super().__init__(server, session_id)
        # Told when the session has ended, whoever ended it.
        self.on_closed: object | None = None
        self._order_lock = allocate_lock()
        # (label of the session, id of the parent call) -> its line
        self._lines: dict[tuple, _Line] = {}

    def start_in_order(self, call: Call, sequence: int) -> None:
        """Starts the call when all with a lower sequence have been started."""
        scope = (call.options.get("session"), call.options.get("parent"))
        with self._order_lock:
            if self.is_closed:
                line = None
            else:
                line = self._lines.setdefault(scope, _Line())
                line.waiting[sequence] = call
                if line.is_moving:
                    return
                line.is_moving = True
        if line is None:
            _refuse(self, call)
            return
        while True:
            with self._order_lock:
                call = line.waiting.pop(line.next, None)
                if call is None:
                    line.is_moving = False
                    return
                line.next += 1
            self.start(call)

    def cancel_unread(self, call_id: int) -> None:
        """Remembers to refuse a call that has not been started, or does nothing when it has ended."""
        self.cancelled.add(call_id)

    def close(self) -> None:
        """Ends all sessions of the client, and the stream."""
        super().close()
        with self._order_lock:
            held = [call for line in self._lines.values() for call in line.waiting.values()]
            self._lines.clear()
            on_closed, self.on_closed = self.on_closed, None
        for call in held:
            _refuse(self, call)
        if on_closed is not None:
            on_closed()


class _Line:
    """Calls of one thread, in their order."""

    __slots__ = ("is_moving", "next", "waiting")

    def __init__(self) -> None:
        self.next = 1
        self.waiting: dict[int, Call] = {}
        self.is_moving = False


def _refuse(client: RpcClient, call: Call) -> None:
    call.client = client
    call.session = client.session
    call.fail(StaleHandle("Cannot run call: its session is closed"))


def stop(server: object, call: Call) -> None:
    """Stops a call whose client has gone or whose deadline has passed."""
    call.cancel_requested = True
    # One that still waits for its turn finds the word when that comes.
    if call.client is not None and not call.finished:
        server.cancel_in_background(call, None)
