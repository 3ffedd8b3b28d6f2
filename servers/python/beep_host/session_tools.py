"""What a session is asked about itself: completion, inspection, its names, and a value shown in all its forms.

Called through `evaluate` by `objects/sessions.ts`, so it works over every wire. Completion and inspection never run
user code: attributes are looked up statically, and what only a property or `__getattr__` could tell stays untold.
"""

from __future__ import annotations

from typing import Any

from beep_host.current_call import current_call
from beep_host.errors import ArgumentError, guarded_repr

_MAX_SUMMARY = 200
_MAX_MATCHES = 1000
_MAX_SOURCE = 256 * 1024
_MISSING = object()


def complete(code: str, cursor: int | None = None) -> dict:
    """The names that may stand at a position in code: `{start, end, matches: [{text, kind}]}`."""
    end = _position(code, cursor)
    start = end
    while start > 0 and (code[start - 1].isidentifier() or code[start - 1].isdigit() or code[start - 1] == "_"):
        start -= 1
    prefix = code[start:end]
    if prefix[:1].isdigit():
        return {"start": end, "end": end, "matches": []}
    if start > 0 and code[start - 1] == ".":
        owner = _resolve(_dotted_before(code, start - 1))
        found = {} if owner is _MISSING else _members(owner)
    else:
        found = _visible_names()
    matches = [
        {"text": name, "kind": _kind(value)}
        for name, value in sorted(found.items(), key=lambda item: (item[0].startswith("_"), item[0]))
        # Names of the language's own use are shown when they are asked for.
        if name.startswith(prefix) and (prefix.startswith("_") or not name.startswith("__"))
    ]
    return {"start": start, "end": end, "matches": matches[:_MAX_MATCHES]}


def inspect(expression: str) -> dict | None:
    """What is known of a dotted name: type, signature, documentation, source. None when it is not known."""
    if not isinstance(expression, str):
        raise ArgumentError(f"Cannot inspect a name: it must be a string, not {type(expression).__name__}")
    names = expression.strip().split(".")
    value = _resolve(names) if all(name.isidentifier() for name in names) else _MISSING
    if value is _MISSING:
        return None
    import inspect as inspector

    file, line = _place(inspector, value)
    return {
        "name": expression.strip(),
        "kind": _kind(value),
        "typeName": _qualified_name(type(value)),
        "summary": _summary(value),
        "signature": _or_none(lambda: str(inspector.signature(value))) if callable(value) else None,
        "doc": _or_none(lambda: _documentation(inspector, value)),
        "source": _or_none(lambda: inspector.getsource(value)[:_MAX_SOURCE]),
        "file": file,
        "line": line,
    }


def variables() -> list:
    """The session's own names, with what is known of their values."""
    return [
        {
            "name": name,
            "kind": _kind(value),
            "typeName": _qualified_name(type(value)),
            "summary": _summary(value),
        }
        for name, value in list(_namespace().items())
        if not name.startswith("__")
    ]


def reset() -> None:
    """Forgets all names of the session; its handles stay."""
    namespace = _namespace()
    for name in list(namespace):
        if not (name.startswith("__") and name.endswith("__")):
            namespace.pop(name, None)


def show(code: str, values: dict, include: list | None) -> Any:
    """Runs code in the session and gives the MIME bundle of its value; None when the value is None."""
    from beep_host.evaluation import compile_program, run_program

    program = compile_program(code, tuple(values))
    result = run_program(program, _namespace(), tuple(values.values()))
    if program.is_async or hasattr(type(result), "__await__"):
        return _show_awaited(result, include)
    return _bundle(result, include)


async def _show_awaited(awaitable: Any, include: list | None) -> dict | None:
    return _bundle(await awaitable, include)


def _bundle(value: Any, include: list | None) -> dict | None:
    if value is None:
        return None
    from beep_host.rich_display import mime_bundle

    return mime_bundle(value, include)


def _is(value: Any, kinds: Any) -> bool:
    """`isinstance` that never asks the value for its `__class__`, which may be a property."""
    return issubclass(type(value), kinds)


def _summary(value: Any) -> str:
    """A short `repr`: of a large container only the beginning is looked at."""
    from reprlib import Repr

    shortener = Repr()
    shortener.maxlist = shortener.maxtuple = shortener.maxset = shortener.maxfrozenset = shortener.maxdict = 20
    shortener.maxdeque = shortener.maxarray = 20
    shortener.maxstring = shortener.maxlong = shortener.maxother = _MAX_SUMMARY
    try:
        return shortener.repr(value)
    except Exception:
        return guarded_repr(value, _MAX_SUMMARY)


def _position(code: str, cursor: int | None) -> int:
    if not isinstance(code, str):
        raise ArgumentError(f"Cannot complete code: it must be a string, not {type(code).__name__}")
    if cursor is None:
        return len(code)
    if type(cursor) is not int or not 0 <= cursor <= len(code):
        raise ArgumentError(f"Cannot complete code: cursor must be from 0 to {len(code)}, not {cursor!r}")
    return cursor


def _namespace() -> dict:
    return current_call.get().session.namespace


def _visible_names() -> dict:
    import builtins
    from keyword import kwlist

    return {**{name: _KEYWORD for name in kwlist}, **vars(builtins), **_namespace()}


def _dotted_before(code: str, dot: int) -> list:
    """The names before a dot, `a.b` before `.c`; empty when it is no plain chain of names."""
    end = dot
    start = end
    while start > 0 and (code[start - 1] in "._" or code[start - 1].isidentifier() or code[start - 1].isdigit()):
        start -= 1
    if start > 0 and code[start - 1] in ")]}\"'":
        return []
    names = code[start:end].split(".")
    return names if all(name.isidentifier() for name in names) else []


def _resolve(names: list) -> Any:
    """The value of a chain of names, without running any code of the values'."""
    if not names:
        return _MISSING
    import builtins

    value = _namespace().get(names[0], _MISSING)
    if value is _MISSING:
        value = vars(builtins).get(names[0], _MISSING)
    for name in names[1:]:
        if value is _MISSING:
            break
        value = _static_attribute(value, name)
    return value


def _static_attribute(owner: Any, name: str) -> Any:
    from inspect import getattr_static
    from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType

    if _is(owner, ModuleType):
        # What a module holds is read as it is, also what would compute a value as an attribute of a class.
        own = ModuleType.__dict__["__dict__"].__get__(owner)
        if name in own:
            return own[name]
    try:
        found = getattr_static(owner, name)
    except Exception:
        # AttributeError, or a class whose `__mro__` and `__dict__` lie: to a completer both are "unknown".
        return _MISSING
    if _is(found, (classmethod, staticmethod)):
        return found.__func__
    if _is(found, FunctionType) or type(found).__name__ in _C_FUNCTIONS:
        return found
    if _is(found, (MemberDescriptorType, GetSetDescriptorType)):
        # A slot, or an attribute written in C: reading it runs nothing of the user's.
        try:
            return found.__get__(owner, type(owner))
        except Exception:
            return _MISSING
    # A property, or whatever else computes its value: only running it would tell.
    return _MISSING if hasattr(type(found), "__get__") and not _is(found, type) else found


_C_FUNCTIONS = frozenset((
    "builtin_function_or_method", "classmethod_descriptor", "method_descriptor", "method-wrapper", "wrapper_descriptor",
))


def _members(owner: Any) -> dict:
    """The attributes of a value by name, without calling a `__dir__` of the user's."""
    from types import ModuleType

    found: dict = {}
    if _is(owner, ModuleType):
        return dict(ModuleType.__getattribute__(owner, "__dict__"))
    is_class = _is(owner, type)
    for base in reversed(type.__dict__["__mro__"].__get__(owner if is_class else type(owner))):
        found.update(type.__dict__["__dict__"].__get__(base))
    if is_class:
        # What a metaclass gives, `mro` and the like, is seldom meant.
        return found
    try:
        found.update(object.__getattribute__(owner, "__dict__"))
    except Exception:
        pass  # no dictionary of its own: slots are among the class's attributes
    return {name: value for name, value in found.items() if type(name) is str}


class _Keyword:
    """Stands for a keyword among values."""


_KEYWORD = _Keyword()


def _kind(value: Any) -> str:
    from types import BuiltinFunctionType, FunctionType, ModuleType

    if value is _KEYWORD:
        return "keyword"
    if _is(value, type):
        return "class"
    if _is(value, ModuleType):
        return "module"
    if _is(value, (FunctionType, BuiltinFunctionType, classmethod, staticmethod)):
        return "function"
    if type(value).__name__ in _C_FUNCTIONS or type(value).__name__ == "method":
        return "function"
    return "property" if _is(value, property) else "variable"


def _qualified_name(kind: type) -> str:
    module = type.__dict__["__module__"].__get__(kind)
    name = type.__dict__["__qualname__"].__get__(kind)
    return name if module == "builtins" else f"{module}.{name}"


def _documentation(inspector: Any, value: Any) -> str | None:
    if _kind(value) == "variable" and type(value).__doc__ is getattr(value, "__doc__", None):
        return None  # the class's, which says nothing of this value
    return inspector.getdoc(value)


def _place(inspector: Any, value: Any) -> tuple:
    file = _or_none(lambda: inspector.getsourcefile(value) or inspector.getfile(value))
    line = _or_none(lambda: inspector.getsourcelines(value)[1])
    return file, line


def _or_none(ask: Any) -> Any:
    """What is asked, or None when the value has no answer or its own code fails to give one."""
    try:
        return ask()
    except Exception:
        return None

