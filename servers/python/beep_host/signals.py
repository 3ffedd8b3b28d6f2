"""Signal handlers of user code that cannot break the server.

A handler runs on the main thread, wherever that is: also in the loop that reads and replies, and what it raises there
(an alarm's `TimeoutError`, Ctrl-C's `KeyboardInterrupt`) would end the session or tear a message in two. So handlers
are installed wrapped. In user code they do what they always do; in ours they run, and what they raise
comes when the user's code goes on, or is reported when there is none.
"""

from __future__ import annotations

import _signal
import sys
from _thread import allocate_lock, start_new_thread

from beep_host import interrupts

_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05


class GuardedHandler:
    """A handler of user code. `signal.getsignal` gives the handler itself."""

    __slots__ = ("handler",)

    def __init__(self, handler: object) -> None:
        self.handler = handler

    def __call__(self, signum: int, frame: object) -> object:
        if interrupts.is_user_code(frame):
            return self.handler(signum, frame)
        from contextvars import Context

        try:
            # In a context without a call: what it prints must not go to a connection that is being written to.
            return Context().run(self.handler, signum, frame)
        except BaseException as error:
            state = interrupts.main_state
            call = state.running if state is not None else None
            if call is None:
                _report(signum, error)
                return None
            call.deferred = error
            # What is shielded raises it at its end.
            if not call.is_shielded:
                start_new_thread(_deliver, (call, signum, error))
            return None


def _deliver(call: object, signum: int, error: BaseException) -> None:
    """Has the main thread raise it as soon as it is in user code again, for which there is no event."""
    pause = allocate_lock()
    pause.acquire()
    seconds = _FIRST_PAUSE_S
    while call.deferred is error and not call.finished:
        interrupts.wake_main()
        pause.acquire(timeout=seconds)
        seconds = min(2 * seconds, _LONGEST_PAUSE_S)
    if call.deferred is error:
        call.deferred = None
        _report(signum, error)


def _report(signum: int, error: BaseException) -> None:
    print(f"beep_host: a handler of signal {signum} raised {error!r} outside of a call", file=sys.__stderr__)


def install() -> None:
    """Wraps what is installed from now on, and Ctrl-C's handler. On the main thread, after our own handlers."""
    set_handler, get_handler = _signal.signal, _signal.getsignal

    def signal(signalnum: int, handler: object, /) -> object:
        previous = set_handler(signalnum, GuardedHandler(handler) if callable(handler) else handler)
        return previous.handler if type(previous) is GuardedHandler else previous

    def getsignal(signalnum: int, /) -> object:
        handler = get_handler(signalnum)
        return handler.handler if type(handler) is GuardedHandler else handler

    # The module `signal` looks these up here each time it is called.
    for function, wrapped in ((signal, set_handler), (getsignal, get_handler)):
        function.__doc__ = wrapped.__doc__
        function.__module__ = wrapped.__module__
        function.__qualname__ = wrapped.__qualname__
        setattr(_signal, wrapped.__name__, function)
    signal(_signal.SIGINT, _signal.default_int_handler)
