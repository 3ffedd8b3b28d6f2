"""The server's own threads, which user code does not trace.

What user code gives to `threading.settrace` and `setprofile` is set in every new thread, before any of its code runs;
a function that raises would end the thread in the middle of our work.
"""

from __future__ import annotations

import sys
import threading


class ServerThread(threading.Thread):
    """A daemon thread that runs a function of ours."""

    def __init__(self, name: str, function: object, *args: object) -> None:
        super().__init__(target=function, args=args, name=name, daemon=True)


class _Begin:
    """What is set in a new thread: it leaves a thread of ours alone, and in others gives its place to user code's."""

    __slots__ = ("function", "_set")

    def __init__(self, function: object, set_function: object) -> None:
        self.function = function
        self._set = set_function

    def __call__(self, frame: object, event: str, arg: object) -> object:
        # The thread begins in methods of its own.
        if isinstance(frame.f_locals.get("self"), ServerThread):
            self._set(None)
            return None
        self._set(self.function)
        return self.function(frame, event, arg)


def install() -> None:
    """Wraps what user code sets from now on; what it asks for is its own function again."""
    for kind in ("trace", "profile"):
        _wrap(f"set{kind}", f"get{kind}", getattr(sys, f"set{kind}"))


def _wrap(setter: str, getter: str, set_function: object) -> None:
    set_hook = getattr(threading, setter)
    get_hook = getattr(threading, getter, None)

    def set_begin(func: object) -> None:
        set_hook(None if func is None else _Begin(func, set_function))

    def get_function() -> object:
        hook = get_hook()
        return hook.function if type(hook) is _Begin else hook

    for name, function, wrapped in ((setter, set_begin, set_hook), (getter, get_function, get_hook)):
        if wrapped is None:
            continue  # 3.9 has none
        for attribute in ("__doc__", "__module__", "__name__", "__qualname__"):
            setattr(function, attribute, getattr(wrapped, attribute))
        setattr(threading, name, function)
