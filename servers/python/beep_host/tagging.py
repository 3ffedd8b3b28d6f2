"""Values towards clients as JSON: with tags (`docs/PROTOCOL.md` §4), and in the dialect of the original's
clients (§7).
"""

from __future__ import annotations

from beep_host.errors import ConversionError, HostError
from beep_host.images import image
from beep_host.nesting import nesting
from beep_host.packing import has_surrogate_pair, is_container, unfaithful_error
from beep_host.protocol import MAX_SAFE_INTEGER

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any

# A frame may have 65,536 parts; what comes beyond this stands in the JSON as base64.
_MOST_PARTS = 60_000
_INFINITY = float("inf")


class _NoImage(Exception):
    """Leaves the walk, in strict mode, with the object that has no image."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


def encode_tagged(value: Any, mode: str, context: Any, inline: bool) -> tuple[bytes, list]:
    """`value` as JSON with tags, and the parts that the tags name; with `inline`, base64 in their place."""
    if mode == "arrow":
        from beep_host.arrow import arrow_stream

        value = arrow_stream(value)
    tagger = _Tagger(mode == "value", context, inline)
    if mode == "handle":
        return _json(tagger.handle_of(value)), []
    try:
        return _json(tagger.tag(value, 0)), tagger.parts
    except _NoImage as unfaithful:
        raise unfaithful_error(value, unfaithful.value) from None
    except HostError:
        tagger.drop_handles()
        raise
    except Exception as error:
        tagger.drop_handles()
        # A container that changed while it was read, or code of the value's own that raised.
        if mode == "value":
            raise ConversionError(f"Cannot send the value: {type(error).__name__}: {error!s:.200}") from error
    return _json(tagger.handle_of(value)), []


def _json(value: Any) -> bytes:
    from json import JSONEncoder

    encoder = JSONEncoder(check_circular=False, allow_nan=False, separators=(",", ":"))
    return encoder.encode(value).encode("ascii")


class _Tagger:
    def __init__(self, strict: bool, context: Any, inline: bool) -> None:
        self.strict = strict
        self.context = context
        self.converters = getattr(context, "converters", None)
        self.inline = inline
        self.parts: list = []
        self.handle_ids: list[int] = []
        self.handles: dict[int, dict] = {}
        # The parts of bytes, and the containers that have opened, by identity. What is kept alive here cannot lend its
        # identity to another.
        self.numbers: dict[int, tuple[int, object]] = {}
        self.opened: dict[int, tuple[int, object]] = {}

    def tag(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER else _tag("int", f"{value:x}")
        if kind is float:
            return value if -_INFINITY < value < _INFINITY else _tag("float", repr(value))
        if kind is str:
            return self.handle_of(value) if not value.isascii() and has_surrogate_pair(value) else value
        if kind is bytes or kind is bytearray:
            return _tag(kind.__name__, self.part(value, value))
        known = self.opened.get(id(value))
        if known is not None:
            return _tag("ref", known[0])
        if depth >= nesting.written:
            return self.handle_of(value)
        if kind is list:
            self.open(value)
            return [self.tag(item, depth + 1) for item in value]
        if kind is tuple or kind is set or kind is frozenset:
            self.open(value)
            return _tag(kind.__name__, [self.tag(item, depth + 1) for item in value])
        if kind is dict:
            return self.tag_dict(value, depth)
        return self.tag_other(value, depth)

    def tag_dict(self, value: dict, depth: int) -> Any:
        self.open(value)
        if "$" not in value and all(type(key) is str and _keeps_place(key) for key in value):
            return {key: self.tag(item, depth + 1) for key, item in value.items()}
        return _tag(
            "dict", [[self.tag(key, depth + 1), self.tag(item, depth + 1)] for key, item in value.items()]
        )

    def tag_other(self, value: Any, depth: int) -> Any:
        try:
            found = image(value, self.converters)
        except HostError:
            raise
        except Exception:
            # A hostile or half-made object whose parts cannot be read: it has no image.
            found = None
        if found is None:
            return self.handle_of(value)
        name, arguments = found[0], found[1]
        if name == "scalar":
            if type(value) is memoryview:
                return _tag("bytes", self.part(value, value.tobytes()))
            return self.tag(arguments[0], depth)
        if name == "map":
            self.open(value)
            items = list(dict.items(value))
            return _tag("map", [[self.tag(key, depth + 1), self.tag(item, depth + 1)] for key, item in items])
        if name == "array":
            self.open(value)
            return self.tag_array(*arguments)
        if name == "object":
            self.open(value)
            return self.tag_object(arguments[0], arguments[1], found[2] if len(found) == 3 else None, depth)
        return _tag(name, *[self.tag(argument, depth + 1) for argument in arguments])

    def tag_array(self, dtype: str, shape: Any, strides: Any, buffer: Any) -> Any:
        from beep_host.arrays import c_ordered

        return _tag("array", dtype, list(shape), self.part(None, c_ordered(dtype, shape, strides, buffer.raw())))

    def tag_object(self, kind: str, fields: list, state: dict | None, depth: int) -> Any:
        # The lists in `fields` are part of the tag, not containers of the value: only what they hold is.
        tagged = [
            [self.tag(item, depth + 1) for item in field]
            if type(field) is list and kind != "enum"
            else self.tag(field, depth + 1)
            for field in fields
        ]
        if state is not None:
            tagged.append({name: self.tag(item, depth + 1) for name, item in state.items()})
        return _tag("object", kind, tagged)

    def open(self, value: object) -> None:
        self.opened[id(value)] = (len(self.opened), value)

    def part(self, owner: object, data: Any) -> int | str:
        """The number of a part; bytes that are reached again are the same part, and so the same bytes for the client."""
        known = None if owner is None else self.numbers.get(id(owner))
        if known is not None:
            return known[0]
        if self.inline or len(self.parts) >= _MOST_PARTS:
            from binascii import b2a_base64

            return b2a_base64(data, newline=False).decode("ascii")
        # Copied where it could change before it is sent.
        self.parts.append(bytes(data) if type(data) is bytearray else data)
        if owner is not None:
            self.numbers[id(owner)] = (len(self.parts) - 1, owner)
        return len(self.parts) - 1

    def handle_of(self, value: object) -> Any:
        if self.strict:
            raise _NoImage(value)
        known = self.handles.get(id(value))
        if known is None:
            # The table of handles keeps the object, so that its identity stays its own.
            number, type_name = self.context.new_handle(value)
            self.handle_ids.append(number)
            known = self.handles[id(value)] = _tag("handle", number, type_name)
        return known

    def drop_handles(self) -> None:
        """Gives back handles that the client will never hear of."""
        drop = getattr(self.context, "drop_handles", None)
        if drop is not None and self.handle_ids:
            drop(self.handle_ids)


def _keeps_place(key: str) -> bool:
    if key == "":
        return True
    # JavaScript puts keys that look like an index first, and `ref` counts containers in the order of the text.
    if "0" <= key[0] <= "9":
        return False
    # V8 (15.0) reads a key that ends in an escape as another key of that length, which it met before, that ends in a
    # backslash: after {"a":0,"\\\\":0}, the key of {"a":0,"\\n":0} is a backslash.
    return " " <= key[-1] <= "~" and key[-1] not in '"\\' and (key.isascii() or not has_surrogate_pair(key))


def _tag(name: str, *arguments: Any) -> dict:
    return {"$": [name, *arguments]}


# ----------------------------------------------------------------------------------------------------
# The original's dialect, which loses what JSON loses; its clients ask for no more.


def plain(value: Any, context: Any) -> Any:
    """`value` as `json.dumps` takes it; what is not plain data is `{"isHandle": true, "handleId",
    "typeName"}`.
    """
    return _plain(value, context, ())


def _plain(value: Any, context: Any, above: tuple[int, ...]) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER else _decimal_text(value)
    if kind is float:
        if -_INFINITY < value < _INFINITY:
            return value
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if kind is bytes or kind is bytearray:
        from binascii import b2a_base64

        return b2a_base64(value, newline=False).decode("ascii")
    if is_container(kind) and id(value) not in above and len(above) < nesting.written:
        within = (*above, id(value))
        if kind is not dict:
            return [_plain(item, context, within) for item in value]
        keys = _plain_keys(value)
        if keys is not None:
            return {key: _plain(item, context, within) for key, item in zip(keys, value.values())}
    number, type_name = context.new_handle(value)
    return {"isHandle": True, "handleId": f"handle_{number}", "typeName": type_name}


def _plain_keys(value: dict) -> list[str] | None:
    """The keys as json.dumps spells them; None when one is none that it takes, or two are spelled alike."""
    keys = []
    for key in value:
        kind = type(key)
        if kind is str:
            keys.append(key)
        elif key is None or kind is bool:
            keys.append({None: "null", True: "true", False: "false"}[key])
        elif kind is int or kind is float:
            keys.append(_decimal_text(key) if kind is int else repr(key))
        else:
            return None
    return keys if len(set(keys)) == len(keys) else None


def _decimal_text(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        # Beyond the interpreter's limit on decimal digits, which hexadecimal does not have.
        return hex(value)
