"""The client's functions, as Python callables.

A call of one is an *invocation*: an `invoke` event to the client, answered by a `resume` request. How the answer is
waited for depends on the thread:

    the session's own thread    goes on reading what its session is sent, and runs nested what the function itself calls
    the event loop, async       a future
    any other thread            a lock
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from itertools import count

from beep_host import values
from beep_host.errors import CallInterrupted, LimitError
from beep_host.execution import current_call

# How deep the two languages may call each other. Each level costs a few dozen frames of Python's recursion limit.
MAX_DEPTH = 64

_next_invocation = count(1).__next__


class JavaScriptError(Exception):
    """A function of the client threw. `name` and `message` are the JavaScript error's, `stack` its stack."""

    def __init__(self, name: str, message: str, stack: str = "", error_id: int | None = None) -> None:
        super().__init__(f"{name}: {message}" if name else message)
        self.name = name
        self.message = message
        self.stack = stack
        self._error_id = error_id


class ClientGoneError(ConnectionError):
    """The client whose function was called is not connected any more."""


class Invocation:
    """One call of a client's function that waits for its answer."""

    __slots__ = ("answer", "call", "id", "wake")

    def __init__(self, call: object, wake: object) -> None:
        self.id = _next_invocation()
        self.call = call
        self.wake = wake
        self.answer: tuple | None = None

    def settle(self, kind: str, value: object, parts: object = (), tagged: bool = False) -> None:
        """Gives the answer and wakes who waits for it; a second answer is passed over."""
        if self.answer is None:
            self.answer = (kind, value, parts, tagged)
            self.wake()

    def result(self, session: object) -> object:
        """The value of the answer, or its exception raised."""
        kind, value, parts, tagged = self.answer
        if kind == "ok":
            return values.decode(value, parts, session) if tagged else value
        if kind == "raise":
            raise value
        raise _as_exception(value)


class HostFunction:
    """One of the client's functions. Called from a coroutine, an async one gives an awaitable."""

    __slots__ = ("__weakref__", "_client", "_id", "_is_async", "_session")

    def __init__(self, session: object, function_id: int, is_async: bool) -> None:
        self._session = session
        self._client = session.client
        self._id = function_id
        self._is_async = is_async

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Calls the function and gives what it gives."""
        call = current_call.get(None)
        if call is None or call.client is not self._client or call.finished:
            call = None
        if self._is_async and _runs_event_loop():
            return self._future(call, args, kwargs)
        session = self._session
        waiter = session.waiter
        if waiter is not None and session.thread_ident == get_ident() and call is not None:
            depth = call.depth + 1
            if depth > MAX_DEPTH:
                raise LimitError(
                    f"Cannot call function: the two languages call each other {depth} deep, the most is {MAX_DEPTH}"
                )
            invocation = self._send(call, waiter.wake, waiter.reply, args, kwargs)
            try:
                waiter.wait(invocation)
            finally:
                self._client.invocations.pop(invocation.id, None)
            return invocation.result(session)
        lock = allocate_lock()
        lock.acquire()
        invocation = self._send(call, lock.release, None, args, kwargs)
        try:
            lock.acquire()
        finally:
            self._client.invocations.pop(invocation.id, None)
        return invocation.result(session)

    def _future(self, call: object, args: tuple, kwargs: dict) -> object:
        import asyncio

        loop = asyncio.get_running_loop()
        future = loop.create_future()
        session = self._session
        client = self._client

        def take_result() -> None:
            client.invocations.pop(invocation.id, None)
            if future.done():
                return  # the coroutine that waited was cancelled
            try:
                future.set_result(invocation.result(session))
            except StopIteration as error:
                # A future refuses it; asyncio itself turns it into this.
                future.set_exception(RuntimeError(f"the function raised StopIteration: {error}"))
            except BaseException as error:
                future.set_exception(error)

        invocation = self._send(call, lambda: loop.call_soon_threadsafe(take_result), None, args, kwargs)
        return future

    def _send(self, call: object, wake: object, reply: object, args: tuple, kwargs: dict) -> Invocation:
        client = self._client
        invocation = Invocation(call, wake)
        kind, json, parts = values.encode((list(args), kwargs), "auto", self._session)
        target = client.invoke_reply(call, reply)
        client.invocations[invocation.id] = invocation
        if client.is_closed:
            client.invocations.pop(invocation.id, None)
            raise ClientGoneError("Cannot call function: its client has gone")
        target.sink.event(
            b'[%d,"invoke",%d,%d]' % (call.id if call is not None else 0, invocation.id, self._id), parts
        )
        return invocation

    def __del__(self) -> None:
        # A finalizer may run anywhere, even under a lock of ours: it only takes a note.
        self._client.dropped.append(self._id)

    def __repr__(self) -> str:
        return f"<{'async ' if self._is_async else ''}function {self._id} of the client>"


def _runs_event_loop() -> bool:
    from sys import modules

    asyncio = modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def _as_exception(error: object) -> BaseException:
    if type(error) is not dict:
        return JavaScriptError("Error", str(error))
    return JavaScriptError(
        str(error.get("name") or "Error"),
        str(error.get("message") or ""),
        str(error.get("stack") or ""),
        error.get("id") if type(error.get("id")) is int else None,
    )


def abandon(client: object, call: object | None = None) -> None:
    """Ends what waits for the client's functions: of one call that is being stopped, or all when the client has gone."""
    for invocation in list(client.invocations.values()):
        if call is None:
            invocation.settle("raise", ClientGoneError("Cannot call function: its client has gone"))
        elif invocation.call is call:
            invocation.settle("raise", CallInterrupted())

