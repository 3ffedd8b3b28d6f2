"""The operations that run user code, each a function of its call. Knows no wire.

A call may be interrupted anywhere in this file (`interrupts.py`), so nothing here may be left half done.
"""

from __future__ import annotations

import sys
from importlib import import_module

from beep_host import values
from beep_host.errors import ArgumentError, CallCancelled, ConversionError, ProtocolError, StaleHandle
from beep_host.evaluation import compile_program, run_program

# Results of these exact types are never awaitable; looking them up is cheaper than looking for `__await__`.
_PLAIN_TYPES = frozenset((bool, int, float, str, bytes, list, dict, tuple, set, type(None)))


def perform(call: object) -> object:
    """Does what the call asks for and gives its result, not yet encoded."""
    if call.cancel_requested:
        raise CallCancelled("The call was cancelled before it ran")
    operation = OPERATIONS.get(call.operation)
    if operation is None:
        raise ProtocolError(f'Cannot run operation "{call.operation}": it is unknown')
    args = call.args
    options = call.options
    if options:
        if "tagged" in options:
            args = values.decode(args, call.parts, call.session, skip=1)
        if "log" in options or "display" in options:
            _prepare_events(options)
    try:
        return operation(call, *args)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            raise ProtocolError(f'Cannot run operation "{call.operation}": {error}') from None
        raise


def _prepare_events(options: dict) -> None:
    """What a call's events need of the standard library and of others is loaded by the first who asks for them."""
    if "log" in options:
        from beep_host import logs

        logs.install()
    if "display" in options:
        from beep_host import figure_setup

        figure_setup.install()


def is_awaitable(call: object, value: object) -> bool:
    """Whether the result is to be awaited on the event loop before it is given to the client."""
    kind = type(value)
    if kind in _PLAIN_TYPES or call.operation not in _AWAITING:
        return False
    # A caller who asks for a handle wants the coroutine itself, unless the code contained the `await`.
    if call.options.get("result") == "handle" and not call.operation == "evaluate":
        return False
    if kind is _Pending:
        return True
    return call.options.get("result") != "handle" and hasattr(kind, "__await__")


class WithParts:
    """A result that is a little JSON and one binary part, sent as it is."""

    __slots__ = ("part", "value")

    def __init__(self, value: object, part: object) -> None:
        self.value = list(value)
        self.part = part


class _Pending:
    """A coroutine of code that contains `await` at its top level: the call itself, not a result."""

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: object) -> None:
        self.coroutine = coroutine

    def __await__(self) -> object:
        return self.coroutine.__await__()


def evaluate(call: object, code: str, local_values: dict | None = None, handles: dict | None = None) -> object:
    """Runs code in the session's namespace; `handles` are locals that are objects, by their numbers."""
    if type(code) is not str:
        raise ArgumentError(f"Cannot evaluate code: it must be a string, not {type(code).__name__}")
    if local_values and not isinstance(local_values, dict):
        raise ArgumentError(f"Cannot evaluate code: its locals must be names with values, not a {type(local_values).__name__}")
    session = call.session
    if handles:
        # Side by side and not merged: a path through a proxy is one of these, and all that it costs is counted.
        held = session.handles
        objects = [held.get(number) for number in handles.values()]
        names = (*handles, *local_values) if local_values else tuple(handles)
        given = (*objects, *local_values.values()) if local_values else objects
    elif local_values:
        names = tuple(local_values)
        given = local_values.values()
    else:
        program = compile_program(code)
        result = run_program(program, session.namespace)
        return _Pending(result) if program.is_async else result
    program = compile_program(code, names)
    result = run_program(program, session.namespace, given)
    return _Pending(result) if program.is_async else result


def import_named(call: object, name: str) -> list:
    """Imports a module and gives a handle to it."""
    if type(name) is not str or not name:
        raise ArgumentError(f"Cannot import {name!r}: a module's name is a string that is not empty")
    module = import_module(name)
    # Anything can be put into `sys.modules`, with a name that is none.
    own_name = getattr(module, "__name__", name)
    return [call.session.handles.add(module)[0], own_name if isinstance(own_name, str) else name]


def create(call: object, owner: object, name: str, args: list | None = None, kwargs: dict | None = None) -> list:
    """Makes an object of a class of a module, given by handle or name."""
    module = import_module(owner) if type(owner) is str else _resolve(call, owner)
    created = _member(module, name)(*_positional(args), **_keywords(kwargs))
    return list(call.session.handles.add(created))


def call_method(call: object, owner: object, name: str, args: list | None = None, kwargs: dict | None = None) -> object:
    """Calls a method of an object; an empty name calls the object itself."""
    target = _resolve(call, owner)
    if name:
        target = _member(target, name)
    return target(*_positional(args), **_keywords(kwargs))


def get_attribute(call: object, owner: object, name: str) -> object:
    """Gives an attribute."""
    return _member(_resolve(call, owner), name)


def set_attribute(call: object, owner: object, name: str, value: object) -> None:
    """Sets an attribute."""
    if type(name) is not str:
        raise ArgumentError(f"Cannot set attribute {name!r}: its name must be a string")
    setattr(_resolve(call, owner), name, value)


def release(call: object, ids: list) -> None:
    """Lets go of handles; unknown ids are passed over."""
    for handle_id in ids:
        call.session.handles.release(handle_id)


def available(call: object, name: str) -> bool:
    """Whether a module could be imported, found without importing it; its parent packages are."""
    if type(name) is not str:
        raise ArgumentError(f"Cannot look for module {name!r}: its name must be a string")
    if name in sys.modules:
        return sys.modules[name] is not None
    from importlib.util import find_spec

    try:
        return find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        # A parent that is missing, is no package, or lacks a spec: the module cannot be imported.
        return False


def wrap(call: object, value: object) -> list:
    """Gives a handle to the Python image of a value."""
    return list(call.session.handles.add(value))


def floats(call: object, owner: object) -> object:
    """The object's items as 32-bit floats."""
    return WithParts(*values.floats(_resolve(call, owner)))


def floats2d(call: object, owner: object) -> object:
    """The object's rows as 32-bit floats."""
    return WithParts(*values.floats2d(_resolve(call, owner)))


def _resolve(call: object, owner: object) -> object:
    """The object that a request names: by its handle's number, or already decoded from a tag."""
    if type(owner) is int:
        return call.session.handles.get(owner)
    raise StaleHandle(f"Cannot use handle {owner!r}: it is not the number of a handle")


def _member(owner: object, name: str) -> object:
    if type(name) is not str:
        raise ArgumentError(f"Cannot get attribute {name!r}: its name must be a string")
    return getattr(owner, name)


def _positional(args: list | None) -> list | tuple:
    if isinstance(args, (list, tuple)):
        return args
    if args is None:
        return ()
    # A dict would unpack to its keys, and a string to its characters.
    raise ArgumentError(
        f"Cannot pass arguments: those by position must be a list, not {type(args).__name__}",
        hint="Arguments by keyword come after the list of those by position.",
    )


def _keywords(kwargs: dict | None) -> dict:
    if not kwargs:
        return {}
    if not isinstance(kwargs, dict):
        raise ArgumentError(f"Cannot pass arguments: those by keyword must be a dict, not {type(kwargs).__name__}")
    for key in kwargs:
        if type(key) is not str:
            raise ConversionError("Cannot pass keyword argument: its name must be a string", "$.kwargs")
    return kwargs


_AWAITING = frozenset(("evaluate", "call", "get", "iterate_take", "iterate_close"))

def venv(call: object, action: str, fields: dict) -> dict:
    """One of the venv commands of plain JSON, which ask the host."""
    from beep_host import venv_commands

    return venv_commands.perform(action, fields)


OPERATIONS = {
    "venv": venv,
    "evaluate": evaluate,
    "import": import_named,
    "create": create,
    "call": call_method,
    "get": get_attribute,
    "set": set_attribute,
    "release": release,
    "available": available,
    "wrap": wrap,
    "floats": floats,
    "floats2d": floats2d,
}
