"""One call: how it runs on its thread, and how it is stopped there.

An interrupt must reach user code and nothing else, and the call it was meant for and no other. Two mechanisms, one
for each kind of thread:

*Main thread*: a signal of our own. Its handler raises only when the running call is the one to stop and the
interrupted frame is user code, or one of the few own frames where that is harmless (`operations.py`,
`evaluation.py`); else it does nothing, and the canceller, which sends again until the call is done, tries later.
This breaks sleeps, lock waits and system calls.

*Other threads*: `PyThreadState_SetAsyncExc`. The canceller injects only while it holds the call's lock and the call
is not finished; a finishing call says so first and then takes the lock once, so that no injection can come later,
and clears the one that may be pending.

Coroutines are cancelled on the event loop (`event_loop.py`).
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock, get_ident
from contextvars import ContextVar
from time import monotonic

from beep_host import evaluation, operations
from beep_host.errors import PACKAGE_DIRECTORY, CallCancelled, CallInterrupted, HostError, ProtocolError

# Frames of these own files may be interrupted: they run user code directly and hold nothing that could break.
_INTERRUPTIBLE_FILES = frozenset(
    (
        evaluation.__file__,
        operations.__file__,
        # These wait for the host on the call's behalf.
        PACKAGE_DIRECTORY + "host_functions.py",
        *(
            os.path.join(PACKAGE_DIRECTORY, "infrastructure", f"{name}.py")
            for name in ("api", "link", "packages", "runtimes", "servers", "venvs")
        ),
    )
)

# How long the canceller waits for a call to end before it interrupts again: user code may have swallowed it.
_RESEND_S = 0.05
# The most interrupts raised in one call. Code that swallows three means it.
_MAX_RAISED = 3

current_call: ContextVar = ContextVar("beep_host_call")
# Two may want to stop the same call.
_preparing = allocate_lock()


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
        "inner",
        "interruptible",
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
        self.output: dict | None = None
        # Made only when somebody wants to stop the call or wait for it.
        self.lock = None
        self.done = None
        # How to stop it where neither signal nor exception applies: set by the event loop.
        self.stop = None

    def finish(self, value: object) -> None:
        """Gives the client the result."""
        if self.output is not None:
            output.finish_output(self)
        self._ended()
        self.reply.finish(self, value)

    def fail(self, error: BaseException) -> None:
        """Gives the client the error."""
        if self.output is not None:
            output.finish_output(self)
        self._ended()
        self.reply.fail(self, error)

    def _ended(self) -> None:
        self.finished = True
        # Its thread's context knows the call until the next one begins, which may be never.
        self.args, self.parts = [], []
        self.client.running.pop(self.id, None)
        done = self.done
        if done is not None:
            self.done = None
            done.release()


class ThreadState:
    """Which call runs on a thread: the innermost one, since a callback can nest calls."""

    __slots__ = ("ident", "is_main", "running")

    def __init__(self, is_main: bool) -> None:
        self.is_main = is_main
        self.ident = get_ident()
        self.running: Call | None = None


# The state of the main thread, for the signal handler; set when a session takes the main thread.
main_state: ThreadState | None = None


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
            value = operations.perform(call)
        except BaseException as raised:
            error = raised
        _settle(call, state)
    except CallInterrupted as raised:
        # The one injection of another thread came after user code had ended and before it was ruled out.
        error = raised
        _settle(call, state)
    state.running = call.outer
    if call.outer is not None:
        call.outer.inner = None
        current_call.set(call.outer)
    try:
        if error is not None:
            call.fail(_as_reported(call, error))
        elif value is not None and operations.is_awaitable(call, value):
            call.client.server.event_loop.run(call, value)
        else:
            call.finish(value)
    except BaseException as failure:
        # A reply that cannot be made (no memory, no connection) must not end the session's thread.
        _report_lost_reply(call, failure)


def _settle(call: Call, state: ThreadState) -> None:
    """From here on the call cannot be interrupted. Safe to run twice."""
    call.interruptible = False
    lock = call.lock
    if lock is not None:
        with lock:
            pass
        if call.injected:
            _set_async_exception(state.ident, None)


def shielded(call: Call, function: object, *args: object) -> None:
    """Runs a function of ours amid user code, so that no interrupt breaks it off; one that is due comes after it."""
    if get_ident() != call.thread:
        function(*args)
        # A coroutine that does nothing but print never awaits, and could be stopped nowhere else.
        if call.cancel_requested and call.client.server.event_loop.is_current:
            raise CallInterrupted
        return
    if not call.interruptible:
        function(*args)
        return
    call.is_shielded = True
    call.interruptible = False
    try:
        lock = call.lock
        if lock is not None:
            with lock:
                pass  # an injection under way has been made when the lock is free
            _take_injected()
        function(*args)
    finally:
        call.interruptible = True
        call.is_shielded = False
    if call.deferred is not None:
        error, call.deferred = call.deferred, None
        raise error
    if call.cancel_requested and call.raised < _MAX_RAISED:
        call.raised += 1
        raise CallInterrupted


def unbroken(call: Call | None, function: object, *args: object) -> object:
    """Asks the client amid user code, and gives its answer. A stop ends the waiting (`abandon`); an exception amid it
    could cut a message short, or lose what was just taken from the queue or belongs to a call that is nested here."""
    if call is None or not call.interruptible or get_ident() != call.thread:
        return function(*args)
    call.interruptible = False
    try:
        lock = call.lock
        if lock is not None:
            with lock:
                pass
            _take_injected()
        return function(*args)
    finally:
        call.interruptible = True


def _take_injected() -> None:
    """An asynchronous exception is raised when a function is entered, if not before."""


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


def on_interrupt_signal(signum: int, frame: object) -> None:
    """The handler of our signal, on the main thread."""
    state = main_state
    call = state.running if state is not None else None
    if call is None or not call.cancel_requested or not call.interruptible or call.raised >= _MAX_RAISED:
        return
    filename = frame.f_code.co_filename
    if filename.startswith(PACKAGE_DIRECTORY) and filename not in _INTERRUPTIBLE_FILES:
        return
    call.raised += 1
    raise CallInterrupted


def is_user_code(frame: object) -> bool:
    """Whether what a signal's handler raises on this frame of the main thread reaches the code of a call."""
    state = main_state
    call = state.running if state is not None else None
    if call is None or not call.interruptible or frame is None:
        return False
    filename = frame.f_code.co_filename
    return not filename.startswith(PACKAGE_DIRECTORY) or filename in _INTERRUPTIBLE_FILES


def cancel(call: Call, grace_s: float) -> str:
    """Stops a running call; gives `stopped` or, after the grace time, `running`. Blocks: run it on a thread of its own."""
    done = allocate_lock()
    done.acquire()
    call.done = done
    _prepare(call)
    deadline = monotonic() + grace_s
    while not call.finished:
        _interrupt_once(call)
        remaining = deadline - monotonic()
        if remaining <= 0:
            return "running"
        if done.acquire(timeout=min(_RESEND_S, remaining)):
            break
    return "stopped"


def _prepare(call: Call) -> None:
    with _preparing:
        if call.lock is None:
            call.lock = allocate_lock()
    call.cancel_requested = True


def _interrupt_once(call: Call) -> None:
    if call.client.invocations:
        callbacks.abandon(call.client, call)
    # What is nested under the call on its thread keeps it from going on, and is stopped first.
    inner = call.inner
    if inner is not None:
        _prepare(inner)
        _interrupt_once(inner)
        return
    stop = call.stop
    if stop is not None:
        stop()
        return
    state = main_state
    if state is not None and call.thread == state.ident:
        _signal_main(state, call)
        return
    if call.thread == 0:
        return  # handed over and not begun: the thread looks at cancel_requested first
    with call.lock:
        if call.interruptible and call.raised < _MAX_RAISED:
            call.raised += 1
            call.injected = True
            _set_async_exception(call.thread, CallInterrupted)


def _signal_main(state: ThreadState, call: Call) -> None:
    import signal

    if interrupt_signal is not None and signal.getsignal(interrupt_signal) is on_interrupt_signal:
        signal.pthread_kill(state.ident, interrupt_signal)
        return
    # User code took our signal, or there is none (Windows): the weaker way, which no sleep or lock wait heeds.
    with call.lock:
        if call.interruptible and state.running is call and call.raised < _MAX_RAISED:
            call.raised += 1
            call.injected = True
            _set_async_exception(state.ident, CallInterrupted)


def _set_async_exception(thread: int, exception: type | None) -> None:
    import ctypes

    # PYFUNCTYPE keeps the GIL, as this function needs; a CFUNCTYPE would release it and end the process.
    prototype = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.py_object)
    if exception is None:
        prototype = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)
    prototype(("PyThreadState_SetAsyncExc", ctypes.pythonapi))(thread, exception)


interrupt_signal: int | None = None


def install_interrupt_signal() -> None:
    """Takes a signal that programs rarely use, so that Ctrl-C and `asyncio.run` keep theirs. Main thread only."""
    global interrupt_signal
    import signal

    number = getattr(signal, "SIGUSR2", None)
    if number is None:
        return
    signal.signal(number, on_interrupt_signal)
    interrupt_signal = number


def check_request(message: object) -> tuple[int, str, list, dict]:
    """The fields of a request, checked."""
    if type(message) is list and 3 <= len(message) <= 4:
        call_id, operation, args = message[0], message[1], message[2]
        options = message[3] if len(message) == 4 else {}
        if type(call_id) is int and type(operation) is str and type(args) is list and type(options) is dict:
            return call_id, operation, args, options
    raise ProtocolError("Cannot read request: it is not [id, operation, args] or [id, operation, args, options]")


# At the end, since both need `current_call`.
from beep_host import callbacks, output  # noqa: E402
