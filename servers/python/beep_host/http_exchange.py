"""What passes between the calls of one HTTP request and the thread of its connection.

Calls answer from whatever thread they run on. An answer that is complete within milliseconds is sent by the
thread that completes it, since waking another one costs more than a call does. What takes longer is *taken
over* by the connection's thread, which waits, and sends what has come:

    session's thread ── event, reply ──► sender ──► socket                                          at first
    session's thread ── event, reply ──► [frames] ── wait, take ──► connection's thread ──► socket   after
    take_over connection lost  ── abandon ───────► what comes later is dropped
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident, start_new_thread

from beep_host.frames import encode_buffers, encode_frame

# What a fresh send buffer takes without making the sender wait. More is sent by a thread of its own.
SENT_AT_ONCE_BYTES = 64 * 1024


class Exchange:
    """The sink of all calls of one request; it is done when as many replies have come as were asked for."""

    __slots__ = (
        "_blocked",
        "_buffered",
        "_buffers",
        "_is_abandoned",
        "_is_sent",
        "_is_signalled",
        "_is_started",
        "_left",
        "_lock",
        "_max_buffered_bytes",
        "_notify",
        "_owner",
        "_sender",
        "_sent_bytes",
        "_signal",
        "_waits_for_last",
    )

    def __init__(self, expected_replies: int, max_buffered_bytes: int, sender: object | None = None) -> None:
        """`sender(buffers, is_first, is_last)` sends, until `take_over` is called."""
        self._owner = get_ident()  # the connection's thread
        self._sender = sender
        self._sent_bytes = 0
        self._is_started = False
        self._is_sent = False
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
        """Takes an event or a reply without ever waiting; False when too much is unread and it was dropped.
        """
        if may_drop and self._buffered > self._max_buffered_bytes:
            return False
        self._add(encode_buffers(json, parts) if parts else [encode_frame(json)], int(is_reply), waits=False)
        return True

    def reply(self, json: bytes, parts: list | tuple = ()) -> None:
        """Takes the one reply of a call. Waits, unless it is the last, as long as the client leaves too much unread: a
        request may hold many calls."""
        held = self._add(encode_buffers(json, parts) if parts else [encode_frame(json)], 1)
        if held is not None:
            held.acquire()

    def take_in(self, buffers: list) -> None:
        """Takes the one reply of a call as it is to be sent."""
        self._add(buffers, 1)

    def _add(self, buffers: list, replies: int, *, waits: bool = True) -> object | None:
        size = sum([len(buffer) for buffer in buffers])
        held = None
        with self._lock:
            self._left -= replies
            if not self._is_abandoned:
                self._buffers += buffers
                self._buffered += size
                if (
                    waits
                    and self._left > 0
                    and self._buffered > self._max_buffered_bytes
                    and get_ident() != self._owner  # who alone could end the waiting
                ):
                    held = allocate_lock()
                    held.acquire()
                    self._blocked.append(held)
            if self._sender is not None and (self._left <= 0 or not replies):
                if self._sent_bytes + self._buffered <= SENT_AT_ONCE_BYTES:
                    self._send_directly()
                    return None
                if self._left <= 0:
                    start_new_thread(self._send_the_rest, ())
                    return None
            # One signal for the first thing that comes, or only for the last: waking costs as much as a call.
            if not self._is_signalled and (not self._waits_for_last or self._left <= 0):
                self._is_signalled = True
                self._signal.release()
                if self._notify is not None:
                    self._notify()
        return held

    def _send_directly(self) -> None:
        """Sends what has come; the lock is held."""
        buffers = self._buffers
        self._sent_bytes += self._buffered
        self._buffers = []
        self._buffered = 0
        is_last = self._left <= 0
        sender = self._sender
        if is_last:
            self._sender = None
            self._is_sent = True
        try:
            sender(buffers, not self._is_started, is_last)
        except OSError:
            pass  # the peer is gone, which the connection's thread finds out by its read
        self._is_started = True

    def _send_the_rest(self) -> None:
        with self._lock:
            if self._sender is not None:
                self._send_directly()

    @property
    def is_sent(self) -> bool:
        """Whether all has been sent, or is being sent: then `take_over` waits for that."""
        return self._is_sent

    def take_over(self) -> tuple[bool, bool]:
        """From here on nothing is sent but what the caller takes. Says whether all was sent, and whether a
        part."""
        with self._lock:
            if self._sender is not None and self._left <= 0:
                self._send_directly()
            self._sender = None
            return self._is_sent, self._is_started

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
