"""Context managers whose body is the client's.

The `with` statement itself is a generator, suspended for as long as the body runs: what Python does on entering, on
leaving with an exception, on suppressing it and on being abandoned is then done by Python.
"""

from __future__ import annotations

from beep_host import raised
from beep_host.current_call import current_call


def enter(manager: object) -> object:
    """Enters a context manager and gives `[context, value]`, for an asynchronous one as an awaitable."""
    kind = type(manager)
    client = current_call.get().client
    if hasattr(kind, "__aenter__") and not hasattr(kind, "__enter__"):
        return _enter_async(client, manager)
    context = Context(client, manager)
    return [context, context.value]


async def _enter_async(client: object, manager: object) -> list:
    context = AsyncContext(client)
    return [context, await context.enter(manager)]


class _Open:
    """Counts as an open context of its client until it is left or collected."""

    def __init__(self, client: object) -> None:
        self._client: object | None = client
        client.contexts += 1

    def _closed(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.contexts -= 1
            raised.forget_unused(client)

    def _error(self, error: dict | None) -> BaseException | None:
        if self._client is None:
            raise RuntimeError("the context manager was left already")
        return None if error is None else raised.as_exception(self._client, error)


def _statement(manager: object) -> object:
    with manager as value:
        yield value


class Context(_Open):
    """An entered context manager. Collected without `leave`, it is left as a generator is that is not exhausted."""

    def __init__(self, client: object, manager: object) -> None:
        self._statement = _statement(manager)
        self.value = next(self._statement)
        super().__init__(client)

    def leave(self, error: dict | None = None) -> bool:
        """Leaves it, with what the body threw; gives whether that is done with, by its absence or by suppression."""
        statement = self._statement
        exception = self._error(error)
        self.value = None
        try:
            if exception is None:
                next(statement)
            else:
                statement.throw(exception)
        except StopIteration:
            return True
        except BaseException as failure:
            if _is_same(failure, exception):
                return False
            raise
        finally:
            self._closed()
        return True  # not reached: the generator yields once

    def __del__(self) -> None:
        if self.__dict__.get("_client") is not None:
            self._closed()


class AsyncContext(_Open):
    """An entered asynchronous context manager. One task enters and leaves it, as task groups and timeouts need."""

    def __init__(self, client: object) -> None:
        super().__init__(client)
        self._state: _Stay | None = None

    async def enter(self, manager: object) -> object:
        """Enters and gives the value."""
        import asyncio

        loop = asyncio.get_running_loop()
        stay = self._state = _Stay(loop.create_future(), loop.create_future())
        stay.task = loop.create_task(stay.run(manager))
        # The loop itself keeps only weak references to its tasks.
        _staying.add(stay.task)
        stay.task.add_done_callback(_staying.discard)
        try:
            return await stay.entered
        except BaseException:
            stay.task.cancel()
            self._closed()
            raise

    async def leave(self, error: dict | None = None) -> bool:
        """As `Context.leave`."""
        stay = self._state
        exception = self._error(error)
        self._closed()
        stay.leaving.set_result(exception)
        return await stay.task

    def __del__(self) -> None:
        stay = self.__dict__.get("_state")
        self._closed()
        if stay is not None and not stay.task.done():
            loop = stay.task.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(stay.task.cancel)


class _Stay:
    """The task that is inside the context. It knows nothing of the `AsyncContext`, so that that can be collected."""

    def __init__(self, entered: object, leaving: object) -> None:
        self.entered = entered
        self.leaving = leaving
        self.task: object | None = None

    async def run(self, manager: object) -> bool:
        exception = None
        try:
            async with manager as value:
                self.entered.set_result(value)
                exception = await self.leaving
                if exception is not None:
                    raise exception
        except BaseException as failure:
            if not self.entered.done():
                self.entered.set_exception(failure)
                return True
            if _is_same(failure, exception):
                return False
            raise
        return True


def _is_same(failure: BaseException, exception: BaseException | None) -> bool:
    if exception is None:
        return False
    # A StopIteration that passes through a generator is wrapped in a RuntimeError by Python.
    return failure is exception or (isinstance(exception, StopIteration) and failure.__cause__ is exception)


_staying: set = set()
