"""Messages of the RPC schema as JSON, and back: protobuf's JSON mapping, driven by the tables of `rpc_schema.py`."""

from __future__ import annotations

from beep_host.errors import ProtocolError
from beep_host.json_text import loads_finite
from beep_host.rpc_binary import is_default
from beep_host.rpc_schema import ENUMS, MESSAGES, ONEOFS

_WIDE = frozenset(("int64", "uint64"))
_RANGES = {
    "int32": (-(2**31), 2**31),
    "uint32": (0, 2**32),
    "int64": (-(2**63), 2**63),
    "uint64": (0, 2**64),
}
_FLOAT_WORDS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NUMBER = b"+-.0123456789Ee"
_MAX_DEPTH = 600

_readers: dict[str, dict] = {}


# -- reading


def decode(name: str, data: object) -> dict:
    """The message in JSON text. Raises `ProtocolError` that says where it cannot be read."""
    return _read(name, loads_finite(bytes(data) or b"{}"), name, 0)


def _read(name: str, value: object, path: str, depth: int) -> dict:
    if type(value) is not dict:
        raise _wrong(path, "an object")
    if depth > _MAX_DEPTH:
        raise ProtocolError(f"Cannot read {name}: messages are nested more than {_MAX_DEPTH} deep")
    reader = _readers.get(name)
    if reader is None:
        reader = {}
        for _number, field, json_name, kind, label in MESSAGES[name]:
            reader[field] = reader[json_name] = (field, kind, label)
        _readers[name] = reader
    message: dict = {}
    for key, item in value.items():
        entry = reader.get(key)
        if entry is None or item is None:
            continue  # a field of another version, or one that is absent
        field, kind, label = entry
        if field in message:
            raise ProtocolError(f"Cannot read {path}.{field}: it is given twice")
        if label != 2:
            # Messages in messages without a frame between them: the interpreter counts those.
            if kind in MESSAGES:
                message[field] = _read(kind, item, f"{path}.{field}", depth + 1)
            else:
                message[field] = _read_item(kind, item, f"{path}.{field}")
        elif type(item) is list:
            items = message[field] = []
            for number, one in enumerate(item):
                if kind in MESSAGES:
                    items.append(_read(kind, one, f"{path}.{field}[{number}]", depth + 1))
                else:
                    items.append(_read_item(kind, one, f"{path}.{field}[{number}]"))
        else:
            raise _wrong(f"{path}.{field}", "an array")
    if len(message) > 1 and name in ONEOFS:
        _check_alternatives(name, message, path)
    return message


def _check_alternatives(name: str, message: dict, path: str) -> None:
    """To take one of them would lose the others."""
    for fields in ONEOFS[name]:
        given = [field for field in message if field in fields]
        if len(given) > 1:
            raise ProtocolError(f"Cannot read {path}: it has {' and '.join(given)}, which exclude each other")


def _read_item(kind: str, value: object, path: str) -> object:
    if kind == "string":
        if type(value) is str:
            return value
        raise _wrong(path, "a string")
    if kind == "bool":
        if type(value) is bool:
            return value
        raise _wrong(path, "a boolean")
    if kind == "bytes":
        return _read_bytes(value, path)
    if kind in ENUMS:
        if type(value) is str and value in ENUMS[kind]:
            return ENUMS[kind][value]
        if type(value) is int:
            return value
        raise _wrong(path, f"a name of {kind}")
    if kind == "double" or kind == "float":
        return _read_float(value, path)
    return _read_integer(kind, value, path)


def _read_bytes(value: object, path: str) -> bytes:
    from binascii import Error, a2b_base64

    if type(value) is str and value.isascii():
        text = value.replace("-", "+").replace("_", "/").rstrip("=")
        # The standard library passes over what does not belong.
        if not text.encode().translate(None, _BASE64):
            try:
                return a2b_base64(text + "=" * (-len(text) % 4))
            except (Error, ValueError):
                pass  # said below
    raise _wrong(path, "base64")


def _read_float(value: object, path: str) -> float:
    if type(value) is str:
        if value in _FLOAT_WORDS:
            return _FLOAT_WORDS[value]
        # float() takes more than JSON's numbers.
        if value.isascii() and not value.encode().translate(None, _NUMBER):
            try:
                return float(value)
            except ValueError:
                pass  # said below
    elif type(value) is float or type(value) is int:
        try:
            return float(value)
        except OverflowError:
            pass  # said below
    raise _wrong(path, "a number")


def _read_integer(kind: str, value: object, path: str) -> int:
    low, high = _RANGES[kind]
    if type(value) is str:
        digits = value[1:] if value.startswith("-") else value
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
            raise _wrong(path, f"an integer of type {kind}")
        value = int(value)
    if type(value) is float and value - value == 0 and value == int(value):
        value = int(value)
    if type(value) is int and low <= value < high:
        return value
    raise _wrong(path, f"an integer of type {kind}")


def _wrong(path: str, what: str) -> ProtocolError:
    return ProtocolError(f"Cannot read {path}: it must be {what}")


# -- writing


def encode(name: str, message: dict) -> bytes:
    """The JSON text of a message."""
    from json import dumps

    return dumps(to_json(name, message), separators=(",", ":"), allow_nan=False).encode("ascii")


def to_json(name: str, message: dict) -> dict:
    """A message as `json.dumps` takes it."""
    written = {}
    for _number, field, json_name, kind, label in MESSAGES[name]:
        value = message.get(field)
        if value is None or (label == 0 and is_default(kind, value)):
            continue
        if label == 2:
            if len(value):
                written[json_name] = [_write_item(kind, item) for item in value]
        else:
            written[json_name] = _write_item(kind, value)
    return written


def _write_item(kind: str, value: object) -> object:
    if kind in MESSAGES:
        return to_json(kind, value)
    if kind in _WIDE:
        return str(value)
    if kind == "bytes":
        from binascii import b2a_base64

        return b2a_base64(value, newline=False).decode("ascii")
    if kind == "double" or kind == "float":
        if value - value == 0:
            return value
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if kind in ENUMS:
        for name, number in ENUMS[kind].items():
            if number == value:
                return name
    return value
