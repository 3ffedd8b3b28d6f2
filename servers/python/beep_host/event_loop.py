"""The one thread on which coroutines run, many at once; started by the first of them."""

from __future__ import annotations

import sys
from _thread import allocate_lock, get_ident
from time import monotonic

from beep_host import execution
from beep_host.errors import CallCancelled, guarded_repr

# Between two times that the loop was broken off.
_PAUSE_S = 0.05
_GONE = object()


class EventLoop:
    """An asyncio loop on a thread of its own."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._loop = None
        self._thread = 0
        # The calls that run there, with what they are to await or, once they have begun, their tasks: the loop itself keeps
        # only weak references.
        # Each loop has a row of its own.
        self._calls: dict = {}
        # The call whose code blocks the loop by waiting for a function of its client.
        self._blocked_by: object | None = None

    @property
    def is_current(self) -> bool:
        """Whether this is the loop's thread."""
        return self._thread == get_ident()

    def waiting(self, call: object | None) -> _Waiting:
        """Says, while it is entered, that the thread waits for a function that the call has called."""
        return _Waiting(self, call if self.is_current else None)

    def run(self, call: object, awaitable: object) -> None:
        """Awaits on the loop, in a copy of the caller's context, and finishes the call with the result."""
        import contextvars

        if self._would_wait_for_itself(call):
            _close(awaitable)
            raise RuntimeError(
                "Cannot await: a coroutine waits, without awaiting, for the function that makes this call, and blocks "
                "the event loop. Make the function async and await it."
            )
        loop, calls = self._started()
        # From here on nothing that the call says may make the loop wait for a client.
        without_waiting = getattr(call.reply, "without_waiting", None)
        if without_waiting is not None:
            call.reply = without_waiting()
        due = calls[call] = _Due(awaitable, contextvars.copy_context())
        try:
            loop.call_soon_threadsafe(self._begin, loop, calls, call, context=due.context)
            is_lost = self._loop is not loop
        except RuntimeError:
            is_lost = True  # it is closed
        # Whoever takes the call out of the row, here or at the loop's end, ends it.
        if is_lost and calls.pop(call, _GONE) is not _GONE:
            _close(awaitable)
            raise RuntimeError("Cannot await: user code has ended the event loop")

    def _started(self) -> tuple[object, dict]:
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                import asyncio

                from beep_host.threads import ServerThread

                loop = asyncio.new_event_loop()
                # Its own look at the clock finds whatever user code has put there.
                loop.time = monotonic
                calls: dict = {}
                self._recover_after_errors(loop, calls)
                ServerThread("beep-event-loop", self._serve, loop, calls).start()
                self._loop, self._calls = loop, calls
            return self._loop, self._calls

    def _serve(self, loop: object, calls: dict) -> None:
        try:
            self._run_until_closed(loop, calls)
            error = RuntimeError("it was closed")
        except BaseException as broken:
            # User code has broken what not even the loop's thread can do without: another one begins anew.
            error = broken
        with self._lock:
            if self._loop is loop:
                self._loop = None
        _break_off(calls, error)

    def _run_until_closed(self, loop: object, calls: dict) -> None:
        import asyncio

        self._thread = get_ident()
        asyncio.set_event_loop(loop)
        while not loop.is_closed():
            try:
                # User code may stop the loop, which is not its own.
                loop.run_forever()
            except (KeyboardInterrupt, SystemExit):
                # A task raised it: asyncio stores it in the task, where the call reports it, and raises it here too.
                # A trace function may do so too, and then no task has it.
                loop.call_soon(self._recover, loop, calls)
            except BaseException as error:
                # A trace function that a coroutine has left here, or user code has broken what asyncio needs.
                print(f"beep_host: the event loop was broken off by {guarded_repr(error)}", file=sys.__stderr__)
                _break_off(calls, error)
                # What has broken it may do so at once again.
                pause = allocate_lock()
                pause.acquire()
                pause.acquire(timeout=_PAUSE_S)

    def _would_wait_for_itself(self, call: object) -> bool:
        blocked_by = self._blocked_by
        if blocked_by is None:
            return False
        parent = call.parent
        while parent is not None and parent is not blocked_by:
            parent = parent.parent
        return parent is not None

    def _recover_after_errors(self, loop: object, calls: dict) -> None:
        """Lets the loop recover when a callback has raised. Not by the loop's handler, which belongs to user code."""
        report = loop.call_exception_handler

        def report_and_recover(context: dict) -> None:
            try:
                report(context)
            finally:
                # Not at once: whoever reports may be a step of a task, or collect garbage on another thread.
                if not loop.is_closed():
                    loop.call_soon_threadsafe(self._recover, loop, calls)

        loop.call_exception_handler = report_and_recover

    def _recover(self, loop: object, calls: dict) -> None:
        """Does what a callback was to do and did not come to: a trace function that a coroutine has left on this thread can
        raise in any of them, ours and asyncio's."""
        for call, state in list(calls.items()):
            if type(state) is _Due:
                loop.call_soon(self._begin, loop, calls, call, context=state.context)
            elif state.done():
                self._ended(calls, call, state)
            elif _has_lost_its_step(loop, state):
                _break_off({call: calls.pop(call)}, None)

    def _begin(self, loop: object, calls: dict, call: object) -> None:
        due = calls.get(call)
        if type(due) is not _Due:
            return
        if call.cancel_requested:
            del calls[call]
            _close(due.awaitable)
            call.fail(CallCancelled("The call was cancelled before it ran"))
            return
        try:
            task = loop.create_task(_awaited(due.awaitable))
        except BaseException as error:
            del calls[call]
            call.fail(error)
            return
        calls[call] = task
        call.stop = lambda: loop.call_soon_threadsafe(task.cancel)
        task.add_done_callback(lambda done: self._ended(calls, call, done))

    def _ended(self, calls: dict, call: object, task: object) -> None:
        try:
            if calls.pop(call, None) is None:
                return
            call.stop = None
            if task.cancelled():
                message = "The call was cancelled while it ran" if call.cancel_requested else "The coroutine was cancelled"
                call.fail(CallCancelled(message) if call.cancel_requested else _cancelled_error(message))
                return
            error = task.exception()
            if error is not None:
                execution.fail(call, execution.describe_here(call, error))
            else:
                call.finish(task.result())
        except BaseException as failure:
            calls.pop(call, None)
            call.fail(failure)


class _Due:
    """What a call is to await, before it has begun."""

    __slots__ = ("awaitable", "context")

    def __init__(self, awaitable: object, context: object) -> None:
        self.awaitable = awaitable
        self.context = context


def _has_lost_its_step(loop: object, task: object) -> bool:
    """Whether a task, none of which is running now, neither waits for anything nor is due."""
    ready = getattr(loop, "_ready", None)
    if ready is None or getattr(task, "_fut_waiter", task) is not None:
        return False
    due = (getattr(getattr(handle, "_callback", None), "__self__", None) for handle in tuple(ready))
    return not any(one is task for one in due)


def _break_off(calls: dict, error: BaseException | None) -> None:
    """Ends calls that may have lost a step, and would wait for ever: all of a loop, or those of which it is known."""
    for call in list(calls):
        state = calls.pop(call, _GONE)
        if state is _GONE:
            continue
        call.stop = None
        if type(state) is _Due:
            _close(state.awaitable)
        else:
            state.cancel()
        failure = RuntimeError("The coroutine was broken off with the event loop, which user code has broken")
        failure.__cause__ = error
        call.fail(failure)


class _Waiting:
    """See `EventLoop.waiting`."""

    __slots__ = ("_call", "_loop")

    def __init__(self, loop: EventLoop, call: object | None) -> None:
        self._loop = loop
        self._call = call

    def __enter__(self) -> None:
        if self._call is not None:
            self._loop._blocked_by = self._call

    def __exit__(self, *_error: object) -> None:
        if self._call is not None:
            self._loop._blocked_by = None


def _cancelled_error(message: str) -> BaseException:
    import asyncio

    return asyncio.CancelledError(message)


def _close(awaitable: object) -> None:
    close = getattr(getattr(awaitable, "coroutine", awaitable), "close", None)
    if close is not None:
        close()


async def _awaited(awaitable: object) -> object:
    return await awaitable
