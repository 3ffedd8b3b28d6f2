"""How a running call is stopped on its thread, and nothing else is.

An interrupt must reach user code and nothing else, and the call it was meant for and no other. Two mechanisms, one
for each kind of thread:

*Main thread*: a signal of our own. Its handler raises only when the running call is the one to stop and the
interrupted frame is user code, or one of the few own frames where that is harmless (`operations.py`,
`evaluation.py`); else it does nothing, and the canceller, which sends again until the call is done, tries later.
This breaks sleeps, lock waits and system calls. Where the signal does not arrive, the other mechanism serves.

*Other threads*: `PyThreadState_SetAsyncExc`. The canceller injects only while it holds the call's lock and the call
is not finished; a finishing call says so first and then takes the lock once, so that no injection can come later,
and clears the one that may be pending.

Coroutines are cancelled on the event loop (`event_loop.py`).
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock
from time import monotonic

from beep_host import callbacks, evaluation, operations
from beep_host.errors import PACKAGE_DIRECTORY, CallInterrupted
from beep_host.shielding import MAX_RAISED

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

# The import system holds locks in its own frames, which an exception there would leave locked for ever; in the code of
# the module that is imported it is let through.
_IMPORT_SYSTEM = "<frozen importlib."

# How long the canceller waits for a call to end before it interrupts again: user code may have swallowed it.
_RESEND_S = 0.05
# Two may want to stop the same call.
_preparing = allocate_lock()

# The state of the main thread, for the signal handler; set when a session takes the main thread.
main_state: object | None = None


def on_interrupt_signal(signum: int, frame: object) -> None:
    """The handler of our signal, on the main thread."""
    state = main_state
    if state is None:
        return
    state.signals += 1
    call = state.running
    if call is None or not is_user_code(frame):
        return
    if call.deferred is not None:
        # What a handler of user code raised in our own frames, see `signals.py`.
        error, call.deferred = call.deferred, None
        raise error
    if not call.cancel_requested or call.raised >= MAX_RAISED:
        return
    if call.injected:
        # It was late: one of the two is enough.
        call.injected = False
        set_async_exception(state.ident, None)
    call.raised += 1
    raise CallInterrupted


def is_user_code(frame: object) -> bool:
    """Whether what a signal's handler raises on this frame of the main thread reaches the code of a call."""
    state = main_state
    call = state.running if state is not None else None
    if call is None or not call.interruptible or frame is None:
        return False
    filename = frame.f_code.co_filename
    if filename.startswith(PACKAGE_DIRECTORY):
        return filename in _INTERRUPTIBLE_FILES
    return not filename.startswith(_IMPORT_SYSTEM)


def wake_main() -> None:
    """Has the main thread look for what it is to raise, wherever it is just now."""
    import signal

    if interrupt_signal is not None and signal.getsignal(interrupt_signal) is on_interrupt_signal:
        signal.pthread_kill(main_state.ident, interrupt_signal)


def cancel(call: object, grace_s: float) -> str:
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


def _prepare(call: object) -> None:
    with _preparing:
        if call.lock is None:
            call.lock = allocate_lock()
    call.cancel_requested = True


def _interrupt_once(call: object) -> None:
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
    _inject(call)


def _inject(call: object) -> None:
    with call.lock:
        if not call.interruptible or call.raised >= MAX_RAISED:
            return
        frame = sys._current_frames().get(call.thread)
        if frame is not None and frame.f_code.co_filename.startswith(_IMPORT_SYSTEM):
            return
        at = None if frame is None else (id(frame), frame.f_lasti)
        # One that still waits where it did has not taken the last one, most likely: then this one changes nothing.
        if not call.injected or at != call.injected_at:
            call.raised += 1
        call.injected_at = at
        call.injected = True
        set_async_exception(call.thread, CallInterrupted)


def _signal_main(state: object, call: object) -> None:
    import signal

    if interrupt_signal is not None and signal.getsignal(interrupt_signal) is on_interrupt_signal:
        is_blocked = call.signal_awaited == state.signals
        call.signal_awaited = state.signals
        signal.pthread_kill(state.ident, interrupt_signal)
        # The last one has not arrived: user code has blocked signals, or C code runs, where neither does any harm.
        if not is_blocked:
            return
    # User code took or blocked our signal, or there is none (Windows): the weaker way, which no sleep or lock wait heeds.
    if state.running is call:
        _inject(call)


def set_async_exception(thread: int, exception: type | None) -> None:
    """Has a thread raise an exception at its next bytecode, or takes that back."""
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
