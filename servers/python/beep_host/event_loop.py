"""The one thread on which coroutines run, many at once; started by the first of them."""

from __future__ import annotations

import sys
from _thread import allocate_lock, get_ident

from beep_host import execution
from beep_host.errors import CallCancelled


class EventLoop:
    """An asyncio loop on a thread of its own."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._loop = None
        self._thread = 0
        self._tasks: set = set()
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
        loop = self._started()
        # From here on nothing that the call says may make the loop wait for a client.
        without_waiting = getattr(call.reply, "without_waiting", None)
        if without_waiting is not None:
            call.reply = without_waiting()
        loop.call_soon_threadsafe(self._begin, call, awaitable, context=contextvars.copy_context())

    def _started(self) -> object:
        with self._lock:
            if self._loop is None:
                import asyncio

                from beep_host.threads import ServerThread

                loop = asyncio.new_event_loop()
                ServerThread("beep-event-loop", self._serve, loop).start()
                self._loop = loop
            return self._loop

    def _serve(self, loop: object) -> None:
        import asyncio

        self._thread = get_ident()
        asyncio.set_event_loop(loop)
        while not loop.is_closed():
            try:
                # User code may stop the loop, which is not its own.
                loop.run_forever()
            except (KeyboardInterrupt, SystemExit):
                # A task raised it: asyncio stores it in the task, where the call reports it, and raises it here too.
                continue
            except BaseException as error:
                # A trace function that a coroutine has left here; Python has removed it now.
                print(f"beep_host: the event loop was broken off by {error!r} and goes on", file=sys.__stderr__)

    def _would_wait_for_itself(self, call: object) -> bool:
        blocked_by = self._blocked_by
        if blocked_by is None:
            return False
        parent = call.parent
        while parent is not None and parent is not blocked_by:
            parent = parent.parent
        return parent is not None

    def _begin(self, call: object, awaitable: object) -> None:
        if call.cancel_requested:
            _close(awaitable)
            call.fail(CallCancelled("The call was cancelled before it ran"))
            return
        try:
            task = self._loop.create_task(_awaited(awaitable))
        except BaseException as error:
            call.fail(error)
            return
        # The loop itself keeps only weak references to its tasks.
        self._tasks.add(task)
        call.stop = lambda: self._loop.call_soon_threadsafe(task.cancel)
        task.add_done_callback(lambda done: self._ended(call, done))

    def _ended(self, call: object, task: object) -> None:
        self._tasks.discard(task)
        call.stop = None
        try:
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
