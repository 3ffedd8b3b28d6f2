"""A client's control lane, as those see it who send on it: it opens after the session lane, and may be waited for."""

from __future__ import annotations

from _thread import allocate_lock

# The client's own time for opening the lane; it gives up everything then.
_OPEN_S = 30.0


class ControlLane:
    """Where events go that belong to no call's answer."""

    def __init__(self) -> None:
        self._reply: object | None = None
        self._lock = allocate_lock()
        self._opened: object | None = None

    def expect(self) -> None:
        """Says that the client is going to open the lane."""
        self._opened = allocate_lock()
        self._opened.acquire()

    def open(self, reply: object | None) -> None:
        """Takes the lane's reply; None when there will be no lane any more."""
        with self._lock:
            if reply is not None:
                self._reply = reply
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.release()

    def is_decided(self, seconds: float) -> bool:
        """Whether the lane is open, or known never to be, waited for so long."""
        opened = self._opened
        if opened is None:
            return True
        if not opened.acquire(timeout=seconds):
            return False
        # For the next who waits.
        opened.release()
        return True

    def reply(self) -> object | None:
        """The lane's reply, waited for when it is expected; None when the client has no such lane."""
        opened = self._opened
        if opened is not None and opened.acquire(timeout=_OPEN_S):
            # For the next who waits.
            opened.release()
        return self._reply
