"""Messages of the RPC schema as protobuf bytes, and back: dicts by field name, driven by the tables of
`rpc_schema.py`.

Our own, and small, since the server has no dependencies: so every environment speaks binary, and a large `bytes` field is
neither copied nor escaped. What equals its default is absent; unknown fields are passed over.
"""

from __future__ import annotations

from _struct import Struct, error as StructError, pack, unpack

from beep_host.errors import ProtocolError
from beep_host.rpc_schema import ENUMS, MESSAGES, ONEOFS

_FLOATS = {"double": Struct("<d"), "float": Struct("<f")}
_VARINTS = frozenset(("bool", "int32", "int64", "uint32", "uint64", *ENUMS))
# Levels of messages; a level of a Value is two.
_MAX_DEPTH = 600
# A label beside those of the schema: numbers in a row, one after the other without keys.
_PACKED = 4
_EMPTY = {"string": "", "bytes": b"", "bool": False, "double": 0.0, "float": 0.0}

# Message -> {key (number and wire type): (name, kind, label)}, made when first needed.
_readers: dict[str, dict] = {}
# Message -> [(name, kind, label, encoded key)]
_writers: dict[str, list] = {}


def is_default(kind: str, value: object) -> bool:
    """Whether a value of a kind without presence is what an absent field means. -0.0 is not."""
    return value == _EMPTY.get(kind, 0) and (type(value) is not float or repr(value) == "0.0")


# -- reading


def decode(name: str, data: object) -> dict:
    """The message in `data`. Raises `ProtocolError` that says where it cannot be read."""
    view = memoryview(data)
    try:
        return _read(name, view, 0, len(view), 0, {})
    except (IndexError, StructError):
        raise ProtocolError(f"Cannot read {name}: it ends inside a field") from None


def _reader(name: str) -> dict:
    reader = _readers.get(name)
    if reader is None:
        reader = {}
        for number, field, _json_name, kind, label in MESSAGES[name]:
            wire = 0 if kind in _VARINTS else 1 if kind == "double" else 5 if kind == "float" else 2
            reader[number << 3 | wire] = (field, kind, label)
            if label == 2 and wire != 2:
                reader[number << 3 | 2] = (field, kind, _PACKED)
        _readers[name] = reader
    return reader


def _read(name: str, view: memoryview, at: int, end: int, depth: int, message: dict) -> dict:
    """Reads into `message`, where a message in another comes in several pieces."""
    if depth > _MAX_DEPTH:
        raise ProtocolError(f"Cannot read {name}: messages are nested more than {_MAX_DEPTH} deep")
    reader = _readers.get(name) or _reader(name)
    while at < end:
        key = view[at]
        at += 1
        if key >= 0x80:
            key, at = _varint(view, at - 1)
        entry = reader.get(key)
        if entry is None:
            at = _skip(name, view, at, end, key)
            continue
        field, kind, label = entry
        wire = key & 7
        if wire == 2:
            length, at = _varint(view, at)
            stop = at + length
            if stop > end:
                raise ProtocolError(f"Cannot read {name}: field {field} ends beyond the message")
            if label == _PACKED:
                message.setdefault(field, []).extend(_read_packed(name, field, kind, view, at, stop))
                at = stop
                continue
            if kind == "string":
                try:
                    value = str(view[at:stop], "utf-8")
                except UnicodeDecodeError:
                    raise ProtocolError(f"Cannot read {name}: field {field} is not UTF-8") from None
            elif kind == "bytes":
                value = bytes(view[at:stop])
            else:
                value = _read(kind, view, at, stop, depth + 1, message.get(field) or {} if label != 2 else {})
            at = stop
        elif wire == 0:
            number, at = _varint(view, at)
            value = _from_varint(kind, number)
        else:
            packer = _FLOATS[kind]
            (value,) = packer.unpack_from(view, at)
            at += packer.size
        if label == 2:
            message.setdefault(field, []).append(value)
        else:
            if message and label == 3:
                _drop_others(name, field, message)
            message[field] = value
    if at != end:
        raise ProtocolError(f"Cannot read {name}: a field ends beyond the message")
    return message


def _drop_others(name: str, field: str, message: dict) -> None:
    """Of fields that exclude each other the last one counts."""
    for fields in ONEOFS[name]:
        if field in fields:
            for other in fields:
                if other != field:
                    message.pop(other, None)


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    byte = view[at]
    if byte < 0x80:
        return byte, at + 1
    value = byte & 0x7F
    shift = 7
    while True:
        at += 1
        byte = view[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + 1
        shift += 7
        if shift > 63:
            raise ProtocolError("Cannot read message: a number has more than ten bytes")


def _from_varint(kind: str, number: int) -> object:
    if kind == "bool":
        return number != 0
    if kind == "int64":
        return number - (1 << 64) if number >> 63 else number
    if kind == "uint32":
        return number & 0xFFFFFFFF
    if kind == "uint64":
        return number
    number &= 0xFFFFFFFF  # int32 and enums
    return number - (1 << 32) if number >> 31 else number


def _read_packed(name: str, field: str, kind: str, view: memoryview, at: int, end: int) -> list:
    if kind in _FLOATS:
        size = _FLOATS[kind].size
        if (end - at) % size:
            raise ProtocolError(f"Cannot read {name}: field {field} ends inside a number")
        return list(unpack(f"<{(end - at) // size}{'d' if kind == 'double' else 'f'}", view[at:end]))
    values = []
    while at < end:
        number, at = _varint(view, at)
        values.append(_from_varint(kind, number))
    return values


def _skip(name: str, view: memoryview, at: int, end: int, key: int) -> int:
    """Passes over a field that is not known."""
    wire = key & 7
    if key >> 3 == 0:
        raise ProtocolError(f"Cannot read {name}: a field has the number 0")
    if wire == 0:
        return _varint(view, at)[1]
    if wire == 1 or wire == 5:
        return at + (8 if wire == 1 else 4)
    if wire == 2:
        length, at = _varint(view, at)
        if at + length > end:
            raise ProtocolError(f"Cannot read {name}: field {key >> 3} ends beyond the message")
        return at + length
    raise ProtocolError(f"Cannot read {name}: field {key >> 3} has wire type {wire}, which is not used any more")


# -- writing


def encode(name: str, message: dict) -> bytes:
    """The bytes of a message."""
    return b"".join(encode_buffers(name, message))


def encode_buffers(name: str, message: dict) -> list:
    """The bytes of a message in pieces; what is large in it is not copied."""
    pieces: list = []
    _write(name, message, pieces)
    return pieces


def _writer(name: str) -> dict:
    writer = _writers.get(name)
    if writer is None:
        writer = {}
        for number, field, _json_name, kind, label in MESSAGES[name]:
            wire = 0 if kind in _VARINTS else 1 if kind == "double" else 5 if kind == "float" else 2
            if label == 2 and kind not in MESSAGES and kind not in ("string", "bytes"):
                wire = 2  # packed
            writer[field] = (number, kind, label, to_varint(number << 3 | wire))
        _writers[name] = writer
    return writer


def _write(name: str, message: dict, pieces: list) -> int:
    """Adds the pieces of a message and gives their size. The caller puts the length before them."""
    writer = _writers.get(name) or _writer(name)
    size = 0
    for field, value in message.items():
        _number, kind, label, key = writer[field]
        if label == 2:
            if not value:
                continue
            if kind in MESSAGES or kind == "string" or kind == "bytes":
                for item in value:
                    size += _write_sized(kind, item, key, pieces)
            else:
                data = _packed(kind, value)
                head = key + to_varint(len(data))
                pieces += (head, data)
                size += len(head) + len(data)
        elif kind in MESSAGES:
            if value is not None:
                size += _write_sized(kind, value, key, pieces)
        elif value is None or (label == 0 and is_default(kind, value)):
            continue
        elif kind == "string" or kind == "bytes":
            size += _write_sized(kind, value, key, pieces)
        else:
            data = key + _scalar(kind, value)
            pieces.append(data)
            size += len(data)
    return size


def _write_sized(kind: str, value: object, key: bytes, pieces: list) -> int:
    if kind == "string":
        value = value.encode()
    if kind == "string" or kind == "bytes":
        if type(value) is not bytes:
            value = memoryview(value).cast("B")
        head = key + to_varint(len(value))
        pieces += (head, value)
        return len(head) + len(value)
    place = len(pieces)
    pieces.append(b"")
    length = _write(kind, value, pieces)
    head = pieces[place] = key + to_varint(length)
    return len(head) + length


def to_varint(number: int) -> bytes:
    """An integer in base 128, the lowest digits first."""
    if 0 <= number < 0x80:
        return b"%c" % number
    number &= 0xFFFFFFFFFFFFFFFF
    digits = bytearray()
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _scalar(kind: str, value: object) -> bytes:
    if kind in _FLOATS:
        return _FLOATS[kind].pack(value)
    return to_varint(int(value))


def _packed(kind: str, values: object) -> object:
    if type(values) is memoryview:
        return values.cast("B")  # floats that have their form already
    if kind in _FLOATS:
        return pack(f"<{len(values)}{'d' if kind == 'double' else 'f'}", *values)
    return b"".join([to_varint(int(value)) for value in values])
