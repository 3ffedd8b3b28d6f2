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

from beep_host import raised, values
from beep_host.current_call import current_call
from beep_host.errors import CallInterrupted, ClientGoneError, LimitError
from beep_host.shielding import unbroken

# The number of the running call's own input handler.
INPUT_FUNCTION = 0
# How deep the two languages may call each other. Each level costs a few dozen frames of Python's recursion limit, and
# over HTTP one of the connections (`maxConnections`) until it returns.
MAX_DEPTH = 48

_next_invocation = count(1).__next__


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
            # The client wrote the value inside the row of the request, and its references count from there.
            return values.decode([0, "ok", value], parts, session, skip=1)[2] if tagged else value
        if kind == "raise":
            raise value
        raise raised.as_exception(session.client, value)


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
        if call is not None and call.depth >= MAX_DEPTH:
            raise LimitError(
                f"Cannot call function: the two languages call each other {call.depth + 1} deep, the most is {MAX_DEPTH}"
            )
        return unbroken(call, self._ask, call, args, kwargs)

    def _ask(self, call: object, args: tuple, kwargs: dict) -> object:
        session = self._session
        waiter = session.waiter
        if waiter is not None and session.thread_ident == get_ident() and call is not None:
            invocation = self._send(call, waiter.wake, waiter.reply, args, kwargs)
            try:
                waiter.wait(invocation)
                return invocation.result(session)
            finally:
                self._forget(invocation)
        lock = allocate_lock()
        lock.acquire()
        with self._client.server.event_loop.waiting(call):
            invocation = self._send(call, lock.release, None, args, kwargs)
            try:
                lock.acquire()
                return invocation.result(session)
            finally:
                self._forget(invocation)

    def _forget(self, invocation: Invocation) -> None:
        client = self._client
        client.invocations.pop(invocation.id, None)
        raised.forget_unused(client)

    def _future(self, call: object, args: tuple, kwargs: dict) -> object:
        import asyncio

        loop = asyncio.get_running_loop()
        future = loop.create_future()
        session = self._session

        def take_result() -> None:
            try:
                if future.done():
                    return  # the coroutine that waited was cancelled
                future.set_result(invocation.result(session))
            except StopIteration as error:
                # A future refuses it; asyncio itself turns it into this.
                future.set_exception(RuntimeError(f"the function raised StopIteration: {error}"))
            except BaseException as error:
                future.set_exception(error)
            finally:
                self._forget(invocation)

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
        # The event loop waits for no client, not even for one that is slow to take the question.
        send = target.sink.offer if _runs_event_loop() else target.sink.event
        send(
            b'[%d,"invoke",%d,%d]' % (call.id if call is not None else 0, invocation.id, self._id), parts
        )
        return invocation

    def __del__(self) -> None:
        # A finalizer may run anywhere, even under a lock of ours: it only takes a note.
        if self._id != INPUT_FUNCTION:
            self._client.dropped.append(self._id)

    def __repr__(self) -> str:
        return f"<{'async ' if self._is_async else ''}function {self._id} of the client>"


def _runs_event_loop() -> bool:
    from sys import modules

    # Another thread may be importing it just now; on one that runs a loop it is there as a whole.
    running_loop = getattr(modules.get("asyncio"), "_get_running_loop", None)
    return running_loop is not None and running_loop() is not None


def abandon(client: object, call: object | None = None) -> None:
    """Ends what waits for the client's functions: of one call that is being stopped, or all when the client has gone."""
    for invocation in list(client.invocations.values()):
        if call is None:
            invocation.settle("raise", ClientGoneError("Cannot call function: its client has gone"))
        elif invocation.call is call:
            invocation.settle("raise", CallInterrupted())

