"""The client's iterables, as Python iterators."""

from __future__ import annotations

from collections import deque
from typing import Any

# How many items are asked for at once, at the most; it begins with one, so that who takes one makes one.
_MOST_ITEMS = 64


class HostIterator:
    """An iterator, and an asynchronous one, over one of the client's iterables.

    `take(most)` gives `[is the end, item, …]`, `take_async` the same as an awaitable; with 0 they end the iterable.
    When this object is collected, so are they, and the client ends its iterator.
    """

    def __init__(self, take: Any, take_async: Any) -> None:
        self._take = take
        self._take_async = take_async
        self._items: deque = deque()
        self._size = 1

    def __iter__(self) -> HostIterator:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                return self._items.popleft()
            except IndexError:
                pass
            take = self._take
            if take is None:
                raise StopIteration
            try:
                batch = take(self._size)
            except BaseException:
                self._ended()
                raise
            self._feed(batch)

    def __aiter__(self) -> HostIterator:
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                return self._items.popleft()
            except IndexError:
                pass
            take = self._take_async
            if take is None:
                raise StopAsyncIteration
            try:
                batch = await take(self._size)
            except BaseException:
                self._ended()
                raise
            self._feed(batch)

    def close(self) -> None:
        """Ends the iterable, as leaving a loop over it does."""
        take = self._take
        self._ended()
        if take is not None:
            take(0)

    async def aclose(self) -> None:
        """As `close`, from a coroutine."""
        take = self._take_async
        self._ended()
        if take is not None:
            await take(0)

    def _feed(self, batch: list) -> None:
        if batch[0]:
            self._take = self._take_async = None
        self._items.extend(batch[1:])
        self._size = min(2 * self._size, _MOST_ITEMS)

    def _ended(self) -> None:
        self._take = self._take_async = None
        self._items.clear()
