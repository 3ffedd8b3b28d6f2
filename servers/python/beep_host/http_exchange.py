"""What passes between the calls of one HTTP request and the thread of its connection.

Calls answer from whatever thread they run on; the connection's thread waits, and sends what has come:

    session's thread ── event, reply ──►  [frames]  ── wait, take ──► connection's thread ──► socket
    connection lost  ── abandon ───────►  what comes later is dropped
"""

from __future__ import annotations

from _thread import allocate_lock

from beep_host.frames import encode_buffers, encode_frame


class Exchange:
    """The sink of all calls of one request; it is done when as many replies have come as were asked for."""

    __slots__ = (
        "_blocked",
        "_buffered",
        "_buffers",
        "_is_abandoned",
        "_is_signalled",
        "_left",
        "_lock",
        "_max_buffered_bytes",
        "_notify",
        "_signal",
        "_waits_for_last",
    )

    def __init__(self, expected_replies: int, max_buffered_bytes: int) -> None:
        self._lock = allocate_lock()
        self._signal = allocate_lock()  # held while there is nothing to tell: acquiring it is waiting
        self._signal.acquire()
        self._is_signalled = False
        self._waits_for_last = False
        self._notify = None
        self._left = expected_replies
        self._buffers: list = []
        self._buffered = 0
        self._max_buffered_bytes = max_buffered_bytes
        self._blocked: list = []  # one lock for each thread that waits for the client to read
        self._is_abandoned = False

    @property
    def is_done(self) -> bool:
        """Whether every reply has come; what `take` then gives is the last."""
        return self._left <= 0

    def event(self, json: bytes, parts: list | tuple = ()) -> None:
        """Takes an event. Waits while the client leaves more than `max_buffered_bytes` unread."""
        held = self._add(encode_buffers(json, parts) if parts else [encode_frame(json)], 0)
        if held is not None:
            held.acquire()

    def offer(
        self, json: bytes, parts: list | tuple = (), *, is_reply: bool = False, may_drop: bool = False
    ) -> bool:
        """Takes an event or a reply without ever waiting; False when too much is unread and it was dropped."""
        if may_drop and self._buffered > self._max_buffered_bytes:
            return False
        self._add(encode_buffers(json, parts) if parts else [encode_frame(json)], int(is_reply), waits=False)
        return True

    def reply(self, json: bytes, parts: list | tuple = ()) -> None:
        """Takes the one reply of a call. Never waits: nothing follows it."""
        self._add(encode_buffers(json, parts) if parts else [encode_frame(json)], 1)

    def _add(self, buffers: list, replies: int, *, waits: bool = True) -> object | None:
        size = sum([len(buffer) for buffer in buffers])
        held = None
        with self._lock:
            self._left -= replies
            if not self._is_abandoned:
                self._buffers += buffers
                self._buffered += size
                if waits and not replies and self._buffered > self._max_buffered_bytes:
                    held = allocate_lock()
                    held.acquire()
                    self._blocked.append(held)
            # One signal for the first thing that comes, or only for the last: a wake-up costs as much as a
            # call.
            if not self._is_signalled and (not self._waits_for_last or self._left <= 0):
                self._is_signalled = True
                self._signal.release()
                if self._notify is not None:
                    self._notify()
        return held

    def wait(self, seconds: float) -> bool:
        """Waits until there is something to take, at most so long; says whether there is."""
        if not self._signal.acquire(True, seconds):
            return False
        self._signal.release()
        return True

    def gather(self, seconds: float) -> None:
        """Waits a moment for the last reply, so that the answers to calls that were sent together leave
        together."""
        with self._lock:
            if self._left <= 0:
                return
            if self._is_signalled:
                self._is_signalled = False
                self._signal.acquire()
            self._waits_for_last = True
        self.wait(seconds)

    def notify(self, notify: object) -> bool:
        """Has `notify` called when something comes; says whether something is there already."""
        with self._lock:
            self._notify = notify
            return self._is_signalled

    def take(self) -> tuple[list, bool]:
        """Gives the buffers to send now, and whether they are the last; threads that waited go on."""
        with self._lock:
            buffers = self._buffers
            self._buffers = []
            self._buffered = 0
            self._waits_for_last = False
            if self._is_signalled:
                self._is_signalled = False
                self._signal.acquire()
            self._release_blocked()
            return buffers, self._left <= 0

    def abandon(self) -> None:
        """Drops what came and what will come: nobody is there to read it."""
        with self._lock:
            self._is_abandoned = True
            self._buffers = []
            self._buffered = 0
            self._notify = None
            self._release_blocked()

    def _release_blocked(self) -> None:
        for held in self._blocked:
            held.release()
        self._blocked = []
