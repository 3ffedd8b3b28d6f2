"""Iterators on their way to the client: a few items at a time, and an end that is always told to the iterator.

A synchronous iterator runs on the thread that calls. An asynchronous one has one task for all its life, on the event
loop, which runs only as far ahead as it was asked to: its context variables, timeouts and task groups then behave
as in one `async for`.
"""

from __future__ import annotations

from collections import deque
from time import monotonic

from beep_host.errors import CallInterrupted

# A batch that has begun ends when it has taken so long: a slow iterator gives its items one by one.
_BATCH_S = 0.005
# And when it has become so large: many large items fit into no message, and nobody may want them all.
_BATCH_BYTES = 1024 * 1024
# Of an item that is a container, so many parts are weighed.
_WEIGHED_PARTS = 16


def begin(source: object) -> object:
    """Begins to iterate over an iterable, an iterator, or their asynchronous kin."""
    kind = type(source)
    if hasattr(kind, "__aiter__") and not hasattr(kind, "__iter__"):
        return AsyncIteration(source)
    return Iteration(iter(source))


class Iteration:
    """A synchronous iterator that is being read by a client."""

    def __init__(self, iterator: object) -> None:
        self._iterator: object | None = iterator
        self._failure: BaseException | None = None

    def take(self, most: int) -> list:
        """`[is the end, item, …]`. An exception is raised by the call after the one that gives the items before it."""
        failure = self._failure
        if failure is not None:
            self._failure = None
            raise failure
        iterator = self._iterator
        batch: list = [False]
        if iterator is None:
            batch[0] = True
            return batch
        deadline = monotonic() + _BATCH_S
        size = 0
        try:
            while len(batch) <= most:
                item = next(iterator)
                batch.append(item)
                size += _bytes_of(item)
                if size >= _BATCH_BYTES or monotonic() >= deadline:
                    break
        except StopIteration:
            self._iterator = None
            batch[0] = True
        except CallInterrupted:
            raise
        except BaseException as error:
            self._iterator = None
            if len(batch) == 1:
                raise
            self._failure = error
        return batch

    def close(self) -> None:
        """Ends the iteration; a generator runs its `finally` now."""
        iterator, self._iterator, self._failure = self._iterator, None, None
        close = getattr(iterator, "close", None)
        # Only a generator's `close` means this; a file's would close the user's own file.
        if close is not None and hasattr(type(iterator), "throw"):
            close()


class AsyncIteration:
    """An asynchronous iterator that is being read by a client. Collected without `close`, it ends its task."""

    def __init__(self, source: object) -> None:
        self._pump: _Pump | None = _Pump(source)

    async def take(self, most: int) -> list:
        """As `Iteration.take`."""
        pump = self._pump
        if pump is None:
            return [True]
        return await pump.take(most)

    async def close(self) -> None:
        """Ends the iteration and waits until the generator has run its `finally`."""
        pump, self._pump = self._pump, None
        if pump is not None:
            await pump.close()

    def __del__(self) -> None:
        pump = self._pump
        if pump is not None:
            pump.abandon()


class _Pump:
    """Reads an asynchronous iterator in a task of its own, as far as it was asked to."""

    def __init__(self, source: object) -> None:
        self._source = source
        self._items: deque = deque()
        self._wanted = 0
        self._size = 0
        self._task: object | None = None
        self._loop: object | None = None
        self._failure: BaseException | None = None
        self._is_ended = False
        self._is_closing = False
        self._is_reading = False
        # Set when there is something to do for the task, and when it has done something.
        self._demand: object | None = None
        self._progress: object | None = None

    async def take(self, most: int) -> list:
        import asyncio

        if self._task is None and not self._is_ended:
            self._loop = asyncio.get_running_loop()
            self._demand, self._progress = asyncio.Event(), asyncio.Event()
            self._task = self._loop.create_task(self._run())
            # The loop itself keeps only weak references to its tasks.
            _running.add(self._task)
            self._task.add_done_callback(_running.discard)
        self._wanted = most
        self._demand.set()
        deadline: float | None = None
        while len(self._items) < most and self._size < _BATCH_BYTES and not self._is_ended:
            self._progress.clear()
            if self._items and deadline is None:
                deadline = monotonic() + _BATCH_S
            if deadline is None:
                await self._progress.wait()
                continue
            remaining = deadline - monotonic()
            if remaining <= 0:
                break
            try:
                await asyncio.wait_for(self._progress.wait(), remaining)
            except asyncio.TimeoutError:
                break
        # A batch that its time has ended is smaller than it was to be: the rest is not to be read before the next.
        self._wanted = 0
        batch: list = [False]
        while self._items and len(batch) <= most:
            batch.append(self._items.popleft())
        self._size = 0
        if not self._items and self._is_ended:
            failure, self._failure = self._failure, None
            if failure is None:
                batch[0] = True
            elif len(batch) == 1:
                raise failure
            else:
                self._failure = failure
        return batch

    async def close(self) -> None:
        task = self._task
        self._stop()
        if task is not None:
            import asyncio

            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is not None:
                raise task.exception()

    def abandon(self) -> None:
        """Ends the task without waiting for it; called from any thread, by a finalizer too."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._is_closing = True
        if self._task is None:
            return
        if self._is_reading:
            # The iterator is in the middle of an await: it is stopped there.
            self._task.cancel()
        else:
            self._demand.set()

    async def _run(self) -> None:
        iterator = None
        try:
            iterator = type(self._source).__aiter__(self._source)
            step = type(iterator).__anext__
            while not self._is_closing:
                if len(self._items) >= self._wanted or self._size >= _BATCH_BYTES:
                    self._demand.clear()
                    await self._demand.wait()
                    continue
                self._is_reading = True
                try:
                    item = await step(iterator)
                finally:
                    self._is_reading = False
                self._items.append(item)
                self._size += _bytes_of(item)
                self._progress.set()
        except StopAsyncIteration:
            pass
        except Exception as error:
            self._failure = error
        finally:
            self._is_ended = True
            self._progress.set()
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()


_running: set = set()


def _bytes_of(item: object, parts: int = _WEIGHED_PARTS) -> int:
    """About how large the large things of an item are: texts and buffers, itself or directly inside."""
    kind = type(item)
    if kind is int or kind is float or kind is bool or item is None:
        return 0
    if kind is str or kind is bytes or kind is bytearray:
        return len(item)
    if kind is dict or kind is list or kind is tuple:
        if len(item) > parts:
            return 0
        return sum([_bytes_of(part, -1) for part in (item.values() if kind is dict else item)])
    try:
        with memoryview(item) as view:
            return view.nbytes
    except Exception:
        # Not a buffer, or one that cannot be read: whatever it is, it is not large because of that.
        return 0
