"""JSON by the interpreter's C scanner and encoder: without importing the `json` package (7 ms), and whatever user code
does to that package or to the built-in functions that it uses."""

from __future__ import annotations

from _json import encode_basestring_ascii, make_encoder, make_scanner
from sys import modules

from beep_host.errors import ProtocolError
from beep_host.nesting import nesting


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise ValueError(f"{text} is beyond the range of floats")
    return number


class _ScannerContext:
    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse_constant)
    memo: dict = {}


class _FiniteContext(_ScannerContext):
    # Of Python, so it costs: our own clients never write what is beyond the range.
    parse_float = staticmethod(_finite)


_scan = make_scanner(_ScannerContext())
_scan_finite = make_scanner(_FiniteContext())


def loads(data: bytes, scan: object = _scan) -> object:
    """The object of a JSON text in UTF-8, as our own clients write it."""
    try:
        text = data.decode()
        try:
            value, end = scan(text, 0)
        except StopIteration:
            return _with_white_space(text, scan)
        return value if end == len(text) else _with_white_space(text, scan)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"Cannot read message: {error}") from None
    except SystemError:
        # Before 3.12 the scanner looks for the class of its error where only an import of json has put it.
        if "json.decoder" in modules:
            raise
        import json.decoder  # noqa: F401

        return loads(data, scan)


def loads_finite(data: bytes) -> object:
    """The object of a JSON text that anybody may have written: a number like 1e400 is refused, not made infinite."""
    return loads(data, _scan_finite)


def loads_plain(data: bytes) -> object:
    """The same for values without tags: bounded by `maxDepth`."""
    value = loads_finite(data)
    nesting.check_plain(data, value)
    return value


def _with_white_space(text: str, scan: object) -> object:
    stripped = text.strip(" \t\r\n")
    try:
        value, end = scan(stripped, 0)
    except StopIteration as stop:
        raise ProtocolError(f"Cannot read message: JSON value expected at character {stop.value}") from None
    if end != len(stripped):
        raise ProtocolError(f"Cannot read message: data after the JSON value at character {end}")
    return value


def _refuse_object(value: object) -> object:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_encode = make_encoder(None, _refuse_object, encode_basestring_ascii, None, ":", ",", False, False, True)


def dumps(value: object) -> bytes:
    """Our own plain data as compact JSON."""
    return "".join(_encode(value, 0)).encode()
