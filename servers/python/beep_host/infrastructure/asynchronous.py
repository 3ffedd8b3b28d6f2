"""The classes of this package with methods to be awaited: `await AsyncVenvManager().ensure(...)`.

Each waits on a thread, in a copy of the caller's context; who cancels it ends the operation on the host's side.
`on_progress` is called on the caller's event loop, where it may set events and resolve futures.
"""

from __future__ import annotations

from functools import wraps

from beep_host.infrastructure.api import links
from beep_host.infrastructure.packages import PackageInstaller
from beep_host.infrastructure.runtimes import RuntimeManager
from beep_host.infrastructure.servers import ServerManager
from beep_host.infrastructure.venvs import VenvManager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


# How many functions of the host one call awaits at once; beyond it they queue.
_FUNCTIONS_AT_ONCE = 32

# By call and event loop, so that each entry is one thread's, and needs no lock that a fork could leave taken.
_executors: dict = {}


async def on_thread(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Calls a function that asks the host, on a thread; being cancelled cuts what it is waiting for."""
    return await _on_executor(None, function, args, kwargs)


async def on_thread_of(call: Any, function: Callable, *args: Any) -> Any:
    """The same on one of the call's own threads: what all calls share may be taken by those that wait for this one."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    key = (call, asyncio.get_running_loop())
    executor, users = _executors.get(key) or (ThreadPoolExecutor(_FUNCTIONS_AT_ONCE, "beep-host-function"), 0)
    _executors[key] = (executor, users + 1)
    try:
        return await _on_executor(executor, function, args, {})
    finally:
        executor, users = _executors.pop(key)
        if users > 1:
            _executors[key] = (executor, users - 1)
        else:
            executor.shutdown(wait=False)


async def _on_executor(executor: Any, function: Callable, args: tuple, kwargs: dict) -> Any:
    import asyncio
    from contextvars import copy_context

    def run() -> Any:
        try:
            return function(*args, **kwargs)
        except StopIteration as error:
            # A future refuses it, and who awaits would wait for ever; asyncio itself turns it into this.
            raise RuntimeError(f"{function.__name__} raised StopIteration: {error}") from error

    waiting: list = []
    token = links.set(waiting)
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, copy_context().run, run)
    except asyncio.CancelledError:
        for link in waiting:
            link.cut()
        raise
    finally:
        links.reset(token)


def _on_loop(callback: Callable) -> Callable:
    """Calls `callback` on the running loop, from the thread that waits; what it raises is raised there."""
    import asyncio
    from concurrent.futures import Future

    loop = asyncio.get_running_loop()

    def call(event: object) -> None:
        called: Future = Future()

        def run() -> None:
            try:
                called.set_result(callback(event))
            except BaseException as error:
                called.set_exception(error)

        loop.call_soon_threadsafe(run)
        called.result()

    return call


class _Asynchronous:
    _kind: type

    def __init__(self, *args: Any) -> None:
        self._blocking = self._kind(*args)


def _awaited(method: Callable) -> Callable:
    @wraps(method)
    async def call(self: _Asynchronous, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("on_progress") is not None:
            kwargs["on_progress"] = _on_loop(kwargs["on_progress"])
        return await on_thread(method, self._blocking, *args, **kwargs)

    return call


def _asynchronous(kind: type) -> type:
    methods = {
        name: _awaited(member)
        for name, member in vars(kind).items()
        if callable(member) and not name.startswith("_")
    }
    members = {"__doc__": kind.__doc__, "__module__": "beep_host.infrastructure", "_kind": kind, **methods}
    return type(f"Async{kind.__name__}", (_Asynchronous,), members)


AsyncVenvManager = _asynchronous(VenvManager)
AsyncRuntimeManager = _asynchronous(RuntimeManager)
AsyncPackageInstaller = _asynchronous(PackageInstaller)
AsyncServerManager = _asynchronous(ServerManager)
