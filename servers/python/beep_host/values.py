"""Values to the wire and back. Twin of `values.ts`; both read `tests/golden/values.json`.

`encode` gives a result in the form that is fastest for our own clients, `encode_tagged` as JSON with tags,
`plain` in the dialect of the original's clients. `decode` reads arguments with tags. `docs/VALUES.md` is the
table of what becomes what, and a test reads it row by row.
"""

from __future__ import annotations

from _json import encode_basestring_ascii
from _pickle import PickleBuffer

from beep_host.errors import ConversionError, HostError
from beep_host.packing import GLOBALS, pack, pack_handle
from beep_host.protocol import MAX_SAFE_INTEGER
from beep_host.tags import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any

__all__ = ["decode", "encode", "encode_tagged", "floats", "floats2d", "plain"]

# The stream's closed table: the pickler looks its names up here.
globals().update(GLOBALS)

_NO_PARTS: list = []
_INFINITY = float("inf")
# A text longer than this is not worth being escaped as JSON and read back.
_MAX_JSON_TEXT = 4096


def encode(value: Any, mode: str, context: Any) -> tuple[str, bytes, list]:
    """A result as `(kind, json, parts)`: kind "ok" with JSON, or "packed" with a stream and its buffers as
    parts.

    `mode` is "auto" (what has no faithful image becomes a handle), "value" (it is a `ConversionError`),
    "handle" (everything becomes one) or "arrow" (tables become an Arrow stream). `context.new_handle(object)`
    gives `(id, type name)`; `context.converters`, if there, maps type names to the attributes that make up an
    image.
    """
    if mode == "auto" or mode == "value":
        kind = type(value)
        if kind is str:
            if len(value) <= _MAX_JSON_TEXT and value.isascii():
                return "ok", encode_basestring_ascii(value).encode("ascii"), _NO_PARTS
        elif kind is int:
            if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
                return "ok", b"%d" % value, _NO_PARTS
        elif value is None:
            return "ok", b"null", _NO_PARTS
        elif kind is float:
            if -_INFINITY < value < _INFINITY:
                return "ok", repr(value).encode("ascii"), _NO_PARTS
        elif kind is bool:
            return "ok", b"true" if value else b"false", _NO_PARTS
        return "packed", b"", _pack(value, mode == "value", context)
    if mode == "arrow":
        from beep_host.arrow import arrow_stream

        return "packed", b"", _pack(arrow_stream(value), True, context)
    return "packed", b"", [pack_handle(context.new_handle(value))]


def _pack(value: Any, strict: bool, context: Any) -> list:
    if type(value) is bytes:
        # As a buffer it is sent from where it is; inside the stream it would be copied.
        return pack(PickleBuffer(value), strict, context)
    try:
        return pack(value, strict, context)
    except HostError:
        raise
    except RecursionError:
        if strict:
            raise ConversionError(
                "Cannot send the value: it is nested deeper than the interpreter can follow"
            ) from None
    except Exception as error:
        # A container that changed while it was read, or code of the value's own that raised.
        if strict:
            raise ConversionError(f"Cannot send the value: {type(error).__name__}: {error!s:.200}") from error
    return [pack_handle(context.new_handle(value))]


def encode_tagged(value: Any, mode: str, context: Any, *, inline: bool = False) -> tuple[bytes, list]:
    """A result as JSON with tags and its parts. With `inline` there are no parts: bytes stand in it as
    base64.
    """
    from beep_host.tagging import encode_tagged as encode_it

    return encode_it(value, mode, context, inline)


def plain(value: Any, context: Any) -> Any:
    """A result as `json.dumps` takes it, in the dialect of the original's clients (`docs/PROTOCOL.md` §7)."""
    from beep_host.tagging import plain as plain_it

    return plain_it(value, context)


def floats(value: Any) -> tuple[list[int], Any]:
    """`([count], bytes)`: anything array-like as 32-bit little-endian floats in C order."""
    from beep_host.arrays import floats as floats_of

    return floats_of(value)


def floats2d(value: Any) -> tuple[list[int], Any]:
    """`([rows, columns], bytes)`: anything array-like of two dimensions, as `floats` gives it."""
    from beep_host.arrays import floats2d as floats2d_of

    return floats2d_of(value)
