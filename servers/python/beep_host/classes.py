"""What tagged values name: classes, their instances, and time zones."""

from __future__ import annotations

import sys

from beep_host.errors import ConversionError
from beep_host.images import find_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any


def loaded_class(module: Any, name: Any) -> Any:
    """A class by its name, of a module that is loaded: nothing is imported for a client's word."""
    found = find_class(module, name) if type(module) is str and type(name) is str else None
    if found is None:
        raise ConversionError(
            f'Cannot find class "{name!s:.80}" in module "{module!s:.80}", which has to be loaded'
        )
    return found


def enum_member(module: Any, name: Any, member: Any, value: Any) -> Any:
    """A member of an Enum, by its name or else by its value."""
    found = loaded_class(module, name)
    enum = sys.modules.get("enum")
    if enum is None or not issubclass(found, enum.Enum):
        raise ConversionError(f"Cannot make a member of {name}: it is no Enum")
    if type(member) is str and member in found.__members__:
        return found.__members__[member]
    return found(value)


def importable(name: str) -> Any:
    """The class that a converter of the client names; its module is imported when need be."""
    from importlib import import_module

    module, _, rest = name.rpartition(".")
    found: Any = None
    tail: list[str] = [rest]
    while module:
        try:
            found = import_module(module)
            break
        except ImportError:
            module, _, rest = module.rpartition(".")
            tail.insert(0, rest)
    if not module:
        import builtins

        found = builtins
    for part in tail:
        found = getattr(found, part, None)
    if not isinstance(found, type):
        raise ConversionError(f'Cannot find class "{name:.80}"')
    return found


def construct(found: type, arguments: Any, keywords: Any) -> Any:
    """An instance of a class, as a converter of the client asks for it."""
    if type(arguments) is not list or type(keywords) is not dict:
        raise ConversionError(f"Cannot make a {found.__name__}: its arguments are not a list and an object")
    try:
        return found(*arguments, **keywords)
    except Exception as error:
        raise ConversionError(
            f"Cannot make a {found.__name__}: {type(error).__name__}: {error!s:.200}"
        ) from error


def time_zone(name: str) -> Any:
    """A time zone by its IANA name."""
    try:
        from zoneinfo import ZoneInfo

        return ZoneInfo(name)
    except Exception as error:
        raise ConversionError(
            f'Cannot find time zone "{name:.80}" in Python',
            hint="Where the system has no time zone data, install tzdata in the server's environment.",
        ) from error
