"""One call: how it runs on its thread, and how it ends. How it is stopped there is in `interrupts.py`."""

from __future__ import annotations

import sys
from _thread import get_ident
from sys import getprofile, gettrace, setprofile, settrace

from beep_host import errors, interrupts, operations, output
from beep_host.current_call import current_call
from beep_host.errors import CallCancelled, CallInterrupted, HostError, ProtocolError

class Call:
    """One request on its way through the server."""

    __slots__ = (
        "args",
        "cancel_requested",
        "client",
        "deferred",
        "depth",
        "done",
        "finished",
        "id",
        "injected",
        "injected_at",
        "inner",
        "interruptible",
        "is_given_up",
        "is_output_over",
        "is_shielded",
        "lock",
        "operation",
        "options",
        "outer",
        "output",
        "parent",
        "parts",
        "raised",
        "reply",
        "session",
        "signal_awaited",
        "stop",
        "thread",
    )

    def __init__(self, call_id: int, operation: str, args: list, parts: list, options: dict, reply: object) -> None:
        self.id = call_id
        self.operation = operation
        self.args = args
        self.parts = parts
        self.options = options
        self.reply = reply
        self.client = None
        self.session = None
        self.cancel_requested = False
        self.finished = False
        self.interruptible = False
        # In the middle of something of ours (`shielded`); what a signal's handler raised meanwhile.
        self.is_shielded = False
        self.deferred: BaseException | None = None
        self.injected = False
        # Where the thread stood when the exception was injected.
        self.injected_at: tuple | None = None
        # How many signals had arrived when one was sent for this call.
        self.signal_awaited: int | None = None
        self.raised = 0
        self.thread = 0
        # The call under which this one is nested on its thread, and the one that is nested under this one.
        self.outer: Call | None = None
        self.inner: Call | None = None
        # The call whose function made this one, on whatever thread it waits.
        self.parent: Call | None = None
        # How many calls of the other language this one is nested in.
        self.depth = 0
        # What it has written and is kept back, see `output.py`.
        self.output: output.CallOutput | None = None
        self.is_output_over = False
        self.is_given_up = False
        # Made only when somebody wants to stop the call or wait for it.
        self.lock = None
        self.done = None
        # How to stop it where neither signal nor exception applies: set by the event loop.
        self.stop = None

    def finish(self, value: object) -> None:
        """Gives the client the result."""
        self._end_output()
        if self._ended():
            self.reply.finish(self, value)

    def fail(self, error: BaseException) -> None:
        """Gives the client the error."""
        self._end_output()
        if self._ended():
            self.reply.fail(self, error)

    def give_up(self, error: BaseException) -> None:
        """Gives the client the error of a call that goes on running; what becomes of it, nobody is told."""
        self.is_given_up = True
        # Whoever takes it out of there answers it: the thread may be ending it just now.
        if self.client.running.pop(self.id, None) is not None:
            self.finished = True
            self.is_output_over = True
            self.reply.fail(self, error)

    def _end_output(self) -> None:
        # Said first: a thread that writes just now either finds it, or has written before the rest is sent.
        self.is_output_over = True
        if self.output is not None:
            output.finish_output(self)

    def _ended(self) -> bool:
        """Says whether the client is still to be told."""
        self.finished = True
        # Its thread's context knows the call until the next one begins, which may be never.
        self.args, self.parts = [], []
        is_told = self.client.running.pop(self.id, None) is None and self.is_given_up
        done = self.done
        if done is not None:
            self.done = None
            done.release()
        return not is_told


class ThreadState:
    """Which call runs on a thread: the innermost one, since a callback can nest calls."""

    __slots__ = ("ident", "is_main", "running", "signals", "tracing")

    def __init__(self, is_main: bool) -> None:
        self.is_main = is_main
        # How many of our signals have arrived.
        self.signals = 0
        self.ident = get_ident()
        self.running: Call | None = None
        # The trace and the profile function that user code has set here, taken away between calls.
        self.tracing: tuple | None = None


def run_call(call: Call, state: ThreadState) -> None:
    """Runs a call on this thread and replies, or hands its coroutine to the event loop. Never raises."""
    value = error = None
    try:
        try:
            outer = state.running
            if outer is not None:
                call.outer = outer
                call.depth = outer.depth + 1
                outer.inner = call
            call.thread = state.ident
            state.running = call
            current_call.set(call)
            call.interruptible = True
            tracing = state.tracing
            if tracing is not None:
                state.tracing = None
                setprofile(tracing[1])
                settrace(tracing[0])
            value = operations.perform(call)
        except BaseException as raised:
            error = raised
            _describe(call, error)
    except BaseException as raised:
        error = raised  # an interrupt, in a `__str__`
    while True:
        try:
            _settle(call)
            if gettrace() is not None or getprofile() is not None:
                _take_tracing(state)
            break
        except BaseException as raised:
            # The one injection of another thread came after user code had ended and before it was ruled out; or a trace
            # function of user code has raised. Python has removed that one, so this ends.
            error = raised
    state.running = call.outer
    if call.outer is not None:
        call.outer.inner = None
        current_call.set(call.outer)
    try:
        if error is not None:
            fail(call, error)
        elif value is not None and operations.is_awaitable(call, value):
            call.client.server.event_loop.run(call, value)
        else:
            call.finish(value)
    except BaseException as failure:
        # A reply that cannot be made (no memory, no connection) must not end the session's thread.
        _report_lost_reply(call, failure)


def _take_tracing(state: ThreadState) -> None:
    """Takes what user code has set away until its next call, so that nothing of ours is traced, or broken off by it."""
    tracing = (gettrace(), getprofile())
    settrace(None)
    setprofile(None)
    state.tracing = tracing


def _describe(call: Call, error: BaseException) -> None:
    """Asks the exception for its texts while the call can be stopped: they are user code, and may take for ever."""
    if not issubclass(type(error), (HostError, CallInterrupted)) and not (call.cancel_requested and call.raised):
        errors.describe_ahead(error)


def describe_here(call: Call, error: BaseException) -> BaseException:
    """The same on another thread than that of the call's session. Gives the exception that ends the call."""
    call.thread = get_ident()
    try:
        call.interruptible = True
        _describe(call, error)
        _settle(call)
    except CallInterrupted as raised:
        error = raised
        _settle(call)
    return error


def fail(call: Call, error: BaseException) -> None:
    """Gives the client the exception that has ended the call, which was described."""
    try:
        call.fail(_as_reported(call, error))
    finally:
        errors.forget(error)


def _settle(call: Call) -> None:
    """From here on the call cannot be interrupted. Safe to run twice."""
    call.interruptible = False
    lock = call.lock
    if lock is not None:
        with lock:
            pass
        if call.injected:
            interrupts.set_async_exception(call.thread, None)


def _as_reported(call: Call, error: BaseException) -> BaseException:
    if issubclass(type(error), CallInterrupted) or (call.cancel_requested and call.raised and not issubclass(type(error), HostError)):
        return CallCancelled("The call was cancelled while it ran")
    return error


def _report_lost_reply(call: Call, failure: BaseException) -> None:
    try:
        call.fail(failure)
    except BaseException as second:
        # User code has broken what replies are made with. Whoever waits is told at least that.
        give_up = getattr(call.reply, "give_up", None)
        if give_up is not None:
            give_up(call)
        sys.__stderr__.write(f"beep_host: lost the reply of call {call.id}: {second!r}\n")


def check_request(message: object) -> tuple[int, str, list, dict]:
    """The fields of a request, checked."""
    if type(message) is list and 3 <= len(message) <= 4:
        call_id, operation, args = message[0], message[1], message[2]
        options = message[3] if len(message) == 4 else {}
        if type(call_id) is int and type(operation) is str and type(args) is list and type(options) is dict:
            return call_id, operation, args, options
    raise ProtocolError("Cannot read request: it is not [id, operation, args] or [id, operation, args, options]")
