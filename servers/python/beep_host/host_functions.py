"""`beep_host.host`: functions that the host program has exposed.

    from beep_host import host
    host.orders.find(42)         # where the host did: host.expose("orders", { find: (id) => … })

Works wherever the host can be reached (see `infrastructure`). From `async def`, an asynchronous function gives an
awaitable. Arguments and results are those of a backend's calls, without handles and functions.
"""

from __future__ import annotations

import sys

from beep_host import values
from beep_host.callbacks import MAX_DEPTH
from beep_host.errors import ConversionError, JavaScriptError, LimitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Arguments:
    """What `values` asks of a session: nothing can be held here."""

    converters = None

    def new_handle(self, value: object) -> tuple:
        """Refuses."""
        raise ConversionError(f"Cannot send {type(value).__name__!r} to a host function: it has no image in JavaScript")

    def drop_handles(self, ids: list) -> None:
        """There are none."""

    def handle(self, handle_id: int) -> object:
        """Refuses; the host sends none."""
        raise ConversionError("Cannot read the result of a host function: it holds a handle")

    def function(self, function_id: int, is_async: bool) -> object:
        """Refuses; the host sends none."""
        raise ConversionError("Cannot read the result of a host function: it holds a function")


class Host:
    """The objects that are exposed, as attributes."""

    def __getattr__(self, name: str) -> HostObject:
        exposed = _exposed()
        if name in exposed:
            return HostObject(name, exposed[name])
        raise AttributeError(f"The host has not exposed {name!r}")

    def __dir__(self) -> list:
        return sorted(_exposed())

    def __repr__(self) -> str:
        return "<the host>"


class HostObject:
    """The functions that are exposed under one name, as attributes."""

    def __init__(self, name: str, kinds: dict) -> None:
        self.__name = name
        self.__kinds = kinds

    def __getattr__(self, name: str) -> HostCallable:
        kind = self.__kinds.get(name)
        if kind is None:
            raise AttributeError(f"The host has not exposed '{self.__name}.{name}'")
        return HostCallable(self.__name, name, kind == "async")

    def __dir__(self) -> list:
        return sorted(self.__kinds)

    def __repr__(self) -> str:
        return f"<{self.__name} of the host: {', '.join(sorted(self.__kinds))}>"


class HostCallable:
    """One function of the host."""

    def __init__(self, owner: str, name: str, is_async: bool) -> None:
        self._path = f"/functions/{owner}/{name}"
        self._is_async = is_async
        self.__name__ = name
        self.__qualname__ = f"{owner}.{name}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function and gives what it gives."""
        call = _asking_call()
        if call is not None and call.depth >= MAX_DEPTH:
            raise LimitError(
                f"Cannot call function: the two languages call each other {call.depth + 1} deep, the most is {MAX_DEPTH}"
            )
        if self._is_async and _runs_event_loop():
            from beep_host.infrastructure.asynchronous import on_thread_of

            return on_thread_of(call, self._call, call, args, kwargs)
        return self._call(call, args, kwargs)

    def _call(self, call: Any, args: tuple, kwargs: dict) -> Any:
        from beep_host.frames import FrameDecoder, encode_frame
        from beep_host.infrastructure.api import exchange
        from beep_host.json_text import loads

        _, _, parts = values.encode((list(args), kwargs), "value", _Arguments())
        asking = encode_frame(_asking(call), parts)
        if call is None:
            data = exchange(self._path, asking)
        else:
            pool = call.client.server.pool
            pool.set_aside(call)
            try:
                data = exchange(self._path, asking)
            finally:
                pool.take_back(call)
        decoder = FrameDecoder()
        decoder.feed(data)
        frame = decoder.next()
        kind, value, *rest = loads(bytes(frame[0]))
        if kind == "error":
            raise JavaScriptError(value["name"], value["message"], value["stack"])
        return values.decode(value, frame[1], _Arguments()) if rest[0] else value

    def __repr__(self) -> str:
        return f"<function {self.__qualname__} of the host>"


def _exposed() -> dict:
    from beep_host.infrastructure.api import ask

    return ask("GET", "/functions")["functions"]


def _asking_call() -> Any:
    # Not there in a program of its own that only imports this package.
    module = sys.modules.get("beep_host.current_call")
    call = None if module is None else module.current_call.get(None)
    return None if call is None or call.finished else call


def _asking(call: Any) -> bytes:
    """Which call asks, and what waits for the answer: the host refuses a call that would wait for that in turn."""
    if call is None:
        return b"{}"
    from beep_host.replies import dumps

    waits = []
    waiting = call
    while waiting is not None:
        # A thread that the call has started counts as the call: it is most likely being waited for. A coroutine has
        # left the session's thread, and a concurrent call was never on it.
        if not waiting.finished and waiting.stop is None and waiting.thread == waiting.session.thread_ident:
            waits.append(waiting.options.get("session"))
        waiting = waiting.parent
    asking = {"session": call.client.session_id, "call": call.id, "waits": waits, "blocksLoop": _runs_event_loop()}
    return dumps(asking)


def _runs_event_loop() -> bool:
    # Another thread may be importing it just now; on one that runs a loop it is there as a whole.
    running_loop = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    return running_loop is not None and running_loop() is not None


host = Host()
