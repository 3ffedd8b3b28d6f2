"""Clients: what one backend is to the server, its own session and the further ones that it opens by label.

    Client ── own Session ── the main thread, or one of its own
           └─ "label" Session ── a thread of its own, fed by a queue
"""

from __future__ import annotations

from _thread import allocate_lock
from time import monotonic

from beep_host.callbacks import abandon
from beep_host.control_lane import ControlLane
from beep_host.errors import ArgumentError, CallCancelled, ClientGoneError, ConversionError, LimitError, StaleHandle
from beep_host.execution import Call
from beep_host.nesting import nesting
from beep_host.sessions import Session

# Operations that are answered where they are read, because they must not wait for a session's thread.
IMMEDIATE = frozenset(("ping", "cancel", "stats", "open_session", "close_session", "resume", "converters"))

# In the place of a label: the session that every client has.
_OWN = object()


class Client:
    """One backend, as the server sees it."""

    def __init__(self, server: object, session_id: str) -> None:
        self.server = server
        self.session_id = session_id
        # Calls of the client's functions that wait for their answer, by their own number.
        self.invocations: dict = {}
        # Numbers of the client's functions that Python has let go of and the client was not told of yet.
        self.dropped: list[int] = []
        # See `raised.py`: exceptions that may come back, and how many of the client's contexts are open.
        self.raised: dict[int, BaseException] = {}
        self.contexts = 0
        # Where events go that belong to no call's answer: a pipe's control lane, which opens after the first one.
        self.control = ControlLane()
        self.touched = monotonic()
        # What the client registered, by the names of classes; see `images.py`.
        self.converters: dict[str, tuple[str, ...]] = {}
        self.session = Session(self)
        self.labelled: dict[str, Session] = {}
        # Calls that have been read and have no reply yet, by id.
        self.running: dict[int, Call] = {}
        # Ids of calls that were cancelled before they were read from the session lane.
        self.cancelled: set[int] = set()
        # Set when the call has been entered, or answered: until then a cancel is one of a call that is to come.
        self.last_read = 0
        self.is_closed = False
        self._lock = allocate_lock()

    def submit(self, operation: str, args: list, options: dict, reply: object, call_id: int = 0) -> Call:
        """Starts an operation; `reply` gets its events and its end. Returns at once."""
        return self.start(Call(call_id, operation, args, [], options, reply))

    def start(self, call: Call) -> Call:
        """Answers the call at once, or hands it to the thread that is to run it."""
        call.client = self
        call.session = self.session
        if call.operation in IMMEDIATE:
            self._answer(call)
            return call
        try:
            self.admit(call)
            label = call.options.get("session")
            if label is not None:
                call.session = self.labelled_session(label)
        except Exception as error:
            call.fail(error)
            return call
        if "concurrent" in call.options or self._is_waited_for_elsewhere(call):
            self.server.pool.run(call)
        else:
            call.session.submit(call)
        return call

    def _is_waited_for_elsewhere(self, call: Call) -> bool:
        """Whether a function made this call for which a coroutine or a thread waits, and not the session's own thread:
        that one may be waiting for them, so the call must not wait for it."""
        parent = call.options.get("parent")
        if parent is None:
            return False
        waiter = call.session.waiter
        return waiter is None or not any(
            invocation.call is not None and invocation.call.id == parent and invocation.wake == waiter.wake
            for invocation in list(self.invocations.values())
        )

    def admit(self, call: Call) -> None:
        """Enters a call that has been read; refuses it when too many are in flight or it was cancelled already."""
        if len(self.running) >= self.server.limits.max_in_flight:
            raise LimitError(
                f"Cannot take call: {len(self.running)} are in flight, maxInFlight is {self.server.limits.max_in_flight}"
            )
        if call.options and "parent" in call.options:
            parent = call.parent = self.running.get(call.options["parent"])
            if parent is not None:
                call.depth = parent.depth + 1
        self.running[call.id] = call
        # Entered first and looked at then: a close that comes between the two finds the call and stops it.
        if self.is_closed:
            raise CallCancelled("The call was cancelled: its session ended")
        if self.cancelled and call.id in self.cancelled:
            self.cancelled.discard(call.id)
            raise CallCancelled("The call was cancelled before it ran")

    def refuses_depth(self, call: Call, text: bytes) -> bool:
        """Whether a call was answered since its values, which have no tags, are nested too deep."""
        if "tagged" in call.options or call.operation == "resume":
            return False
        try:
            nesting.check_plain(text, call.args)
        except ConversionError as error:
            call.client = self
            call.fail(error)
            return True
        return False

    def touch(self) -> None:
        """Says that the client has just made a request."""
        self.touched = monotonic()

    def invoke_reply(self, call: Call | None, waiting: object | None) -> object:
        """Where an `invoke` event goes: to the lane that the waiting thread reads, else to the control lane, else
        into the answer of the call."""
        if waiting is not None:
            return waiting
        # Not to the session lane: its thread may be waiting for the very thread that asks, and read no answer.
        control = self.control.reply()
        if control is not None:
            return control
        if call is not None:
            return call.reply
        raise ClientGoneError(
            "Cannot call function: the call that has started this thread is over, "
            "and over HTTP only its answer could carry the question"
        )

    def labelled_session(self, label: str) -> Session:
        """A further session by its label."""
        session = self.labelled.get(label)
        if session is None:
            raise StaleHandle(f'Cannot use session "{label}": it is not open', hint="Open it with openSession().")
        return session

    def close(self) -> None:
        """Ends all sessions of the client; running calls are interrupted."""
        with self._lock:
            if self.is_closed:
                return
            self.is_closed = True
        abandon(self)
        self.control.open(None)
        sessions = [self.session, *self.labelled.values()]
        self.labelled.clear()
        for call in list(self.running.values()):
            if not call.finished:
                self.server.cancel_in_background(call, None)
        for session in sessions:
            session.close()
            # A pipe's lane ends its session itself; one on which no thread ever ran has nobody else to do it.
            if not session.has_thread and session.thread_ident == 0:
                session.ended()
        self.server.forget(self)

    def renew_locks(self) -> None:
        """For the child of a fork."""
        self._lock = allocate_lock()
        for session in (self.session, *self.labelled.values()):
            session.renew_lock()

    def _answer(self, call: Call) -> None:
        try:
            _IMMEDIATE_ANSWERS[call.operation](self, call, *call.args)
        except TypeError as error:
            call.fail(ArgumentError(f'Cannot run operation "{call.operation}": {error}'))
        except Exception as error:
            call.fail(error)

    def _ping(self, call: Call) -> None:
        call.finish(list(self.running))

    def _stats(self, call: Call) -> None:
        call.finish(self.server.stats())

    def _cancel(self, call: Call, target_id: int) -> None:
        target = self.running.get(target_id)
        is_unread = target is None and target_id > self.last_read
        if is_unread:
            # Not yet read from the session lane: remembered, and looked at before it would run.
            self._remember_cancel(target_id)
        if target is None:
            # It may have been entered meanwhile: whoever reads it enters it, then looks whether it was cancelled, then
            # counts it as read.
            target = self.running.get(target_id)
        if target is None:
            call.finish("queued" if is_unread else "finished")
            return
        self.cancelled.discard(target_id)
        # Said before it is looked whether it has begun: a thread that begins now finds it.
        target.cancel_requested = True
        if target.thread == 0 and target.stop is None:
            call.finish("queued")
        else:
            self.server.cancel_in_background(target, call)

    def _remember_cancel(self, target_id: int) -> None:
        # Those of the other lane that had ended when they were to be cancelled are never read here.
        for passed in [number for number in list(self.cancelled) if number <= self.last_read]:
            self.cancelled.discard(passed)
        if len(self.cancelled) >= self.server.limits.max_in_flight:
            raise LimitError(f"Cannot cancel call {target_id}: too many are to be cancelled that never came")
        self.cancelled.add(target_id)

    def _open_session(self, call: Call, label: str) -> None:
        if type(label) is not str or not label or len(label) > 256:
            raise ArgumentError("Cannot open session: its label must be a string of 1 to 256 characters")
        if label in self.labelled:
            raise ArgumentError(f'Cannot open session "{label}": it is open already')
        if len(self.labelled) >= self.server.limits.max_sessions:
            raise LimitError(
                f"Cannot open session: {len(self.labelled)} are open, maxSessions is {self.server.limits.max_sessions}"
            )
        self.labelled[label] = Session(self)
        call.finish(None)

    def _close_session(self, call: Call, label: object = _OWN) -> None:
        if label is _OWN:
            # First closed, then answered: who connects after the answer finds that the main thread comes free.
            self.close()
            call.finish(None)
            return
        if type(label) is not str:
            raise ArgumentError(f"Cannot close session: its label must be a string, not {type(label).__name__}")
        session = self.labelled.pop(label, None)
        if session is not None:
            for running in list(self.running.values()):
                if running.session is session and not running.finished:
                    self.server.cancel_in_background(running, None)
            session.close()
            if not session.has_thread:
                session.ended()
        call.finish(None)

    def _converters(self, call: Call, attributes: dict) -> None:
        if type(attributes) is not dict or not all(
            type(names) is list and all(type(name) is str for name in names) for names in attributes.values()
        ):
            raise ArgumentError("Cannot register converters: an object of lists of attribute names is needed")
        self.converters = {name: tuple(names) for name, names in attributes.items()}
        call.finish(None)

    def _resume(self, call: Call, invocation: int, kind: str, value: object) -> None:
        waiting = self.invocations.get(invocation)
        # One that nobody waits for any more was interrupted meanwhile.
        if waiting is not None:
            waiting.settle(kind, value, call.parts, "tagged" in call.options)
        if call.id != 0:
            call.finish(None)


_IMMEDIATE_ANSWERS = {
    "ping": Client._ping,
    "stats": Client._stats,
    "cancel": Client._cancel,
    "open_session": Client._open_session,
    "close_session": Client._close_session,
    "resume": Client._resume,
    "converters": Client._converters,
}
