"""What the arguments of a tag must be: each check gives what it was given, or raises `ConversionError`."""

from __future__ import annotations

from beep_host.errors import ConversionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any


def a_list(value: Any) -> list:
    if type(value) is not list:
        raise ConversionError("Cannot read the value: a tag holds something else where a list belongs")
    return value


def a_str(value: Any) -> str:
    if type(value) is not str:
        raise ConversionError("Cannot read the value: a tag holds something else where a string belongs")
    return value


def a_hashable(value: Any) -> Any:
    try:
        hash(value)
    except Exception as error:
        raise ConversionError(
            f"Cannot use a {type(value).__name__} as a key or member: {error!s:.200}"
        ) from error
    return value
