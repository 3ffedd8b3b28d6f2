"""The one thread on which coroutines run, many at once; started by the first of them."""

from __future__ import annotations

from _thread import allocate_lock, get_ident

from beep_host.errors import CallCancelled


class EventLoop:
    """An asyncio loop on a thread of its own."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._loop = None
        self._thread = 0
        self._tasks: set = set()

    @property
    def is_current(self) -> bool:
        """Whether this is the loop's thread."""
        return self._thread == get_ident()

    def run(self, call: object, awaitable: object) -> None:
        """Awaits on the loop, in a copy of the caller's context, and finishes the call with the result."""
        import contextvars

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
                import threading

                loop = asyncio.new_event_loop()
                threading.Thread(target=self._serve, args=(loop,), name="beep-event-loop", daemon=True).start()
                self._loop = loop
            return self._loop

    def _serve(self, loop: object) -> None:
        import asyncio

        self._thread = get_ident()
        asyncio.set_event_loop(loop)
        while not loop.is_closed():
            try:
                loop.run_forever()
                return
            except (KeyboardInterrupt, SystemExit):
                # A task raised it: asyncio stores it in the task, where the call reports it, and raises it here too.
                continue

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
                call.fail(error)
            else:
                call.finish(task.result())
        except BaseException as failure:
            call.fail(failure)


def _cancelled_error(message: str) -> BaseException:
    import asyncio

    return asyncio.CancelledError(message)


def _close(awaitable: object) -> None:
    close = getattr(getattr(awaitable, "coroutine", awaitable), "close", None)
    if close is not None:
        close()


async def _awaited(awaitable: object) -> object:
    return await awaitable
