"""Lets the thread that has answered a request read the next one of that connection itself.

To wake another thread costs more than a small call does. So a connection whose calls end quickly on the thread of their session
is *lent* to it:

    connection's thread   read ─ start ─┐ lent ·············································┌ read ─ start ─ …
    session's thread                    └ call ─ answer ─ read ─ start ─ call ─ answer ─ … ─┘ given back

It is given back when nothing comes for a few milliseconds, when what comes is not a request like one that was answered before
(`RequestParser.take_routine`: nothing that is new, large, in pieces or wrong is read here), and when the session has something else
to do. What takes long the connection's thread takes over (`LentReading.stay`), and watches its client from then on.
"""

from __future__ import annotations

import _socket
from _thread import allocate_lock, get_ident

from beep_host.bell import Bell

# So long the session's thread waits for the next request.
_PATIENCE_MS = 5
# After one to two times this a call that has not ended is taken over.
_QUICK_SECONDS = 0.005
_READ_BYTES = 64 * 1024

# Thread -> the reader that runs on it.
_readers: dict[int, Reader] = {}


class Reader:
    """Takes the calls of a session's thread from its queue, and reads a connection meanwhile that was lent to it."""

    __slots__ = ("_bell", "_is_listening", "_is_rung", "_lent", "_poll", "_polled", "_queue", "_state")

    def __init__(self, queue: object, state: object, is_rung: bool = False) -> None:
        """On the session's thread. `state` is what runs on it (`execution.ThreadState`); with `is_rung` it waits for `ring`
        also when nothing is lent to it."""
        self._is_rung = is_rung
        self._queue = queue
        self._state = state
        self._lent: LentReading | None = None
        self._is_listening = False
        self._bell: Bell | None = None
        self._poll: object | None = None
        self._polled: LentReading | None = None
        _readers[state.ident] = self

    def next(self) -> object:
        """What comes next from the queue."""
        queue = self._queue
        while self._lent is not None:
            lent, self._lent = self._lent, None
            if queue.empty() and self._hears_from(lent):
                lent.read_next()
            else:
                lent.give_back()
        if self._is_rung:
            self._wait_for_ring()
        return queue.get()

    def ring(self) -> None:
        """Said from any thread that has put something into the queue."""
        bell = self._bell
        # Before there is a bell, the listener has not looked into the queue yet.
        if self._is_listening and bell is not None:
            bell.ring()

    def close(self) -> None:
        """Ends it, on its thread."""
        _readers.pop(self._state.ident, None)
        self.let_go()
        self._polled = None
        if self._bell is not None:
            self._bell.close()

    def let_go(self) -> None:
        """Gives back what was lent, before something else is done."""
        lent, self._lent = self._lent, None
        if lent is not None:
            lent.give_back()

    def take(self, lent: LentReading) -> bool:
        """Whether this thread, which has just answered, will read on. It cannot while a call is under way that waits."""
        if self._state.running is not None or self._lent is not None:
            return False
        self._lent = lent
        return True

    def _wait_for_ring(self) -> None:
        """Waits until there is something in the queue."""
        self._is_listening = True
        try:
            if self._bell is None:
                self._bell = Bell()
            while self._queue.empty():
                self._bell.wait()
        except OSError:
            self._is_rung = False  # there is none to be had, or it is broken; the queue wakes as well
        finally:
            self._is_listening = False

    def _hears_from(self, lent: LentReading) -> bool:
        if lent.has_unread:
            return True
        self._is_listening = True
        try:
            if self._polled is not lent:
                self._watch(lent)
            # What was put there before it could ring.
            if not self._queue.empty():
                return False
            found = self._poll.poll(_PATIENCE_MS)
            if len(found) == 1 and found[0][0] != self._bell.fileno():
                return True
            if found:
                self._bell.wait()
            return False
        except (OSError, ValueError):  # a socket that is closed has the descriptor -1, which poll() calls a wrong value
            return False  # the connection's own thread finds the same, and knows what to do
        finally:
            self._is_listening = False

    def _watch(self, lent: LentReading) -> None:
        from select import POLLIN, poll

        if self._bell is None:
            self._bell = Bell()
        self._polled = None
        self._poll = poll()
        self._poll.register(self._bell.fileno(), POLLIN)
        self._poll.register(lent.fileno(), POLLIN)
        self._polled = lent


def can_lend(sock: object) -> bool:
    """Whether the bytes of this socket can be waited for together with something else. TLS may hold some back."""
    import select

    return hasattr(select, "poll") and type(sock) is _socket.socket


class UnderWay:
    """A request that has been started."""

    __slots__ = ("_is_lost", "answer", "cancel")

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.cancel: object | None = None  # there is none yet, or nothing was started
        self._is_lost = False

    def may_be_stopped(self, cancel: object) -> None:
        """Says by what."""
        self.cancel = cancel
        if self._is_lost:
            cancel()

    def stop(self) -> None:
        """Stops it, also while it is being started on another thread."""
        self._is_lost = True
        if self.cancel is not None:
            self.cancel()


class LentReading:
    """One connection's side of it."""

    def __init__(self, sock: object, parser: object, begin: object) -> None:
        """`begin(head, body)` starts a request, and calls `started` and `answered` in time."""
        self.is_lent = False
        # Whether the last answer came from a session's thread that had time to read on.
        self.is_worthwhile = False
        self.fileno = sock.fileno
        self._socket = sock
        self._parser = parser
        self._begin = begin
        self._under_way: UnderWay | None = None
        self._failure: BaseException | None = None
        self._given_back = allocate_lock()
        self._given_back.acquire()

    @property
    def has_unread(self) -> bool:
        """Whether bytes of the next request have been read."""
        return not self._parser.is_at_boundary

    # -- the connection's thread

    def lend(self, head: object, body: object) -> UnderWay | None:
        """Starts a request, and comes back when the connection is its thread's own again: with the request that is to be taken
        over, when one takes long."""
        head.is_routine = True
        self._given_back.acquire(False)
        self.is_lent = True
        self._begin(head, body)
        seen = self._under_way
        while not self._given_back.acquire(True, _QUICK_SECONDS):
            under_way = self._under_way
            if under_way is seen and under_way is not None and not under_way.answer.take_over()[0]:
                self.is_lent = self.is_worthwhile = False
                self._under_way = None
                return under_way
            seen = under_way
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return None

    # -- whoever has answered

    def answered(self) -> None:
        """The answer has been sent by this thread."""
        reader = _readers.get(get_ident())
        if not self.is_lent:
            self.is_worthwhile = reader is not None
            return
        self._under_way = None
        if reader is None or not reader.take(self):
            self.is_worthwhile = False
            self.give_back()

    def started(self, under_way: UnderWay) -> None:
        """Tells of a request that may be answered from now on."""
        self._under_way = under_way

    def give_back(self) -> None:
        """Lets the connection's thread go on."""
        self.is_lent = False
        self._given_back.release()

    def read_next(self) -> None:
        """Reads and starts the next request, or gives the connection back. On the session's thread."""
        try:
            if not self.has_unread:
                # An end is read a second time, by the connection's thread.
                self._parser.feed(self._socket.recv(_READ_BYTES))
            request = self._parser.take_routine()
            if request is not None:
                self._begin(*request)
                return
        except OSError:
            pass  # as with the end
        except BaseException as failure:
            self._failure = failure
        if self.is_lent:
            self.give_back()
