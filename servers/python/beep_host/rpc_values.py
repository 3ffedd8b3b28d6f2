"""`Value` messages and JSON with tags (docs/PROTOCOL.md §4), one into the other: the same tree in another spelling.

What a Python value means on the wire is decided by `tags.py` and `tagging.py` alone; so RPC can neither lose nor add
anything. Containers open in the same order in both, which is what references count.
"""

from __future__ import annotations

from beep_host import values
from beep_host.errors import ConversionError
from beep_host.json_text import loads
from beep_host.nesting import nesting
from beep_host.protocol import MAX_SAFE_INTEGER

_ITEMS = {"tuple": "tuple", "set": "set", "frozenset": "frozen_set"}
_TEXTS = {"datetime": "datetime", "date": "date", "time": "time", "decimal": "decimal", "uuid": "uuid"}


# -- from Python


def to_message(value: object, mode: str, context: object) -> dict:
    """A result as a `Value`; `mode` and `context` as in `values.encode`."""
    kind = type(value)
    if mode == "auto" or mode == "value":
        # What most results are needs no tags.
        if value is None:
            return {}
        if kind is bool:
            return {"boolean": value}
        if kind is int and -(2**63) <= value < 2**63:
            return {"integer": value}
        if kind is float:
            return {"real": value}
        if kind is str and value.isascii():
            return {"text": value}
        if kind is bytes:
            return {"binary": value}
    json, parts = values.encode_tagged(value, mode, context)
    return _message(loads(json), parts)


def _message(tree: object, parts: list) -> dict:
    kind = type(tree)
    if kind is str:
        return _text(tree)
    if kind is dict:
        if len(tree) == 1 and "$" in tree:
            return _TAGS[tree["$"][0]](tree["$"], parts)
        entries = [{"key": _text(key), "value": _message(item, parts)} for key, item in tree.items()]
        return {"dict": {"entries": entries}}
    if kind is list:
        return {"list": {"items": [_message(item, parts) for item in tree]}}
    if tree is None:
        return {}
    if kind is bool:
        return {"boolean": tree}
    return {"integer": tree} if kind is int else {"real": tree}


def _text(text: str) -> dict:
    try:
        text.encode()
    except UnicodeEncodeError:
        return {"surrogate_text": text.encode("utf-8", "surrogatepass")}
    return {"text": text}


def _items_message(tag: list, parts: list) -> dict:
    return {_ITEMS[tag[0]]: {"items": [_message(item, parts) for item in tag[1]]}}


def _entries_message(tag: list, parts: list) -> dict:
    entries = [{"key": _message(key, parts), "value": _message(item, parts)} for key, item in tag[1]]
    return {"dict" if tag[0] == "dict" else "ordered_dict": {"entries": entries}}


def _text_message(tag: list, parts: list) -> dict:
    return {_TEXTS[tag[0]]: tag[1]}


def _complex_message(tag: list, parts: list) -> dict:
    real, imaginary = [_number(_message(part, parts)) for part in tag[1:]]
    return {"complex": {"real": real, "imaginary": imaginary}}


def _number(message: dict) -> float:
    return float(message["real"] if "real" in message else message["integer"])


def _int_message(tag: list, parts: list) -> dict:
    number = int(tag[1], 16)
    return {"integer": number} if -(2**63) <= number < 2**63 else {"big_integer": tag[1]}


def _object_message(tag: list, parts: list) -> dict:
    _, kind, fields = tag
    if kind == "enum":
        module, name, member, value = fields
        found = {"module": module, "qualified_name": name, "value": _message(value, parts)}
        return {"enum": {**found, "member": member or ""}}
    if kind == "namedtuple":
        module, name, names, items = fields
        items = [_message(item, parts) for item in items]
        return {"named_tuple": {"module": module, "qualified_name": name, "names": names, "items": items}}
    if kind == "dataclass":
        module, name, state = fields
        return {"dataclass": {"module": module, "qualified_name": name, "fields": _named(state, parts)}}
    name, arguments = fields[:2]
    return {"converted": {"class_name": name, "arguments": [_message(item, parts) for item in arguments]}}


def _named(state: dict, parts: list) -> list:
    return [{"name": name, "value": _message(item, parts)} for name, item in state.items()]


_TAGS = {
    "int": _int_message,
    "float": lambda tag, parts: {"real": float(tag[1])},
    "str": lambda tag, parts: {"surrogate_text": parts[tag[1]]},
    "bytes": lambda tag, parts: {"binary": parts[tag[1]]},
    "bytearray": lambda tag, parts: {"byte_array": parts[tag[1]]},
    **dict.fromkeys(_ITEMS, _items_message),
    "dict": _entries_message,
    "map": _entries_message,
    **dict.fromkeys(_TEXTS, _text_message),
    "datetime_tz": lambda tag, parts: {"aware_datetime": {"iso": tag[1], "zone": tag[2]}},
    "timedelta": lambda tag, parts: {
        "time_delta": {"days": tag[1], "seconds": tag[2], "microseconds": tag[3]}
    },
    "complex": _complex_message,
    "array": lambda tag, parts: {"array": {"dtype": tag[1], "shape": tag[2], "data": parts[tag[3]]}},
    "handle": lambda tag, parts: {"handle": {"id": tag[1], "type_name": tag[2]}},
    "object": _object_message,
    "ref": lambda tag, parts: {"reference": tag[1]},
}


# -- to Python


class Arguments:
    """Collects the values of a request as JSON with tags and parts, for `values.decode`.

    That numbers the containers of the whole row of arguments, a client those of each value: so they are counted here.
    """

    def __init__(self) -> None:
        self.parts: list = []
        self.is_tagged = False
        self._opened = 1  # the row itself
        self._depth = 0  # of lists and dicts in each other
        self._before = 0  # how many were open before the value that is being read

    def value(self, message: dict | None) -> object:
        """A `Value` as JSON with tags."""
        self._before = self._opened
        return self.read(message or {})

    def row(self, messages: list | None) -> list:
        """Values of their own in a row."""
        self._opened += 1
        return [self.value(message) for message in messages or ()]

    def named(self, named: list | None) -> dict:
        """Values of their own by their names."""
        self._opened += 1
        return self._read_named(named, self.value)

    def read(self, message: dict) -> object:
        for field, value in message.items():
            return _FIELDS[field](self, value)
        return None

    def open(self) -> None:
        self._opened += 1

    def read_all(self, messages: list | None) -> list:
        # No comprehension: before 3.12 it is a frame of its own, and each level of a value has one.
        read: list = []
        for message in messages or ():
            read.append(self.read(message))
        return read

    def read_named(self, named: list | None) -> dict:
        return self._read_named(named, self.read)

    def _read_named(self, named: list | None, read: object) -> dict:
        found: dict = {}
        for one in named or ():
            name = one.get("name", "")
            if name in found:
                raise ConversionError(f'Cannot read the value: the name "{name:.80}" is given twice', f"$.{name:.80}")
            found[name] = read(one.get("value", {}))
        if "$" in found:
            raise ConversionError('Cannot read the value: "$" is no name in Python')
        return found

    def tag(self, name: str, *arguments: object) -> dict:
        self.is_tagged = True
        return {"$": [name, *arguments]}

    def part(self, data: bytes) -> int:
        self.parts.append(data)
        return len(self.parts) - 1

    def list(self, message: dict) -> list:
        self._enter()
        items = self.read_all(message.get("items"))
        self._depth -= 1
        return items

    def pairs(self, message: dict) -> list:
        self._enter()
        pairs = []
        for entry in message.get("entries", ()):
            pairs.append([self.read(entry.get("key", {})), self.read(entry.get("value", {}))])
        self._depth -= 1
        return pairs

    def _enter(self) -> None:
        self.open()
        self._depth += 1
        if self._depth > nesting.written:
            raise nesting.error()

    def reference(self, number: int) -> dict:
        return self.tag("ref", self._before + number)

    def integer(self, number: int) -> object:
        return number if -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER else self.tag("int", f"{number:x}")

    def real(self, number: float) -> object:
        # JSON would make an int of it.
        return self.tag("float", repr(number)) if number != number or number in _INFINITE else number

    def complex(self, message: dict) -> dict:
        return self.tag("complex", self.real(message.get("real", 0.0)), self.real(message.get("imaginary", 0.0)))

    def time_delta(self, message: dict) -> dict:
        return self.tag(
            "timedelta", message.get("days", 0), message.get("seconds", 0), message.get("microseconds", 0)
        )

    def array(self, message: dict) -> dict:
        self.open()
        part = self.part(message.get("data", b""))
        return self.tag("array", message.get("dtype", ""), message.get("shape", []), part)

    def enum(self, message: dict) -> dict:
        value = self.read(message.get("value", {}))
        self.open()
        return self.tag("object", "enum", [*_class(message), message.get("member") or None, value])

    def named_tuple(self, message: dict) -> dict:
        self.open()
        items = self.read_all(message.get("items"))
        return self.tag("object", "namedtuple", [*_class(message), message.get("names", []), items])

    def dataclass(self, message: dict) -> dict:
        self.open()
        return self.tag("object", "dataclass", [*_class(message), self.read_named(message.get("fields"))])

    def converted(self, message: dict) -> dict:
        self.open()
        self.open()
        arguments = self.read_all(message.get("arguments"))
        self.open()
        keywords = self.read_named(message.get("keywords"))
        return self.tag("object", "converted", [message.get("class_name", ""), arguments, keywords])


_INFINITE = (float("inf"), float("-inf"))


def _class(message: dict) -> tuple:
    return message.get("module", ""), message.get("qualified_name", "")


def _tagged_items(name: str) -> object:
    return lambda reader, value: reader.tag(name, reader.list(value))


def _tagged_text(name: str) -> object:
    return lambda reader, value: reader.tag(name, value)


_FIELDS = {
    "boolean": lambda reader, value: value,
    "integer": Arguments.integer,
    "big_integer": _tagged_text("int"),
    "real": Arguments.real,
    "text": lambda reader, value: value,
    "surrogate_text": lambda reader, value: reader.tag("str", reader.part(value)),
    "binary": lambda reader, value: reader.tag("bytes", reader.part(value)),
    "byte_array": lambda reader, value: reader.tag("bytearray", reader.part(value)),
    "list": Arguments.list,
    "tuple": _tagged_items("tuple"),
    "set": _tagged_items("set"),
    "frozen_set": _tagged_items("frozenset"),
    "dict": lambda reader, value: reader.tag("dict", reader.pairs(value)),
    "ordered_dict": lambda reader, value: reader.tag("map", reader.pairs(value)),
    **{field: _tagged_text(name) for name, field in _TEXTS.items()},
    "aware_datetime": lambda reader, value: reader.tag(
        "datetime_tz", value.get("iso", ""), value.get("zone", "")
    ),
    "time_delta": Arguments.time_delta,
    "complex": Arguments.complex,
    "array": Arguments.array,
    "handle": lambda reader, value: reader.tag("handle", value.get("id", 0)),
    "enum": Arguments.enum,
    "named_tuple": Arguments.named_tuple,
    "dataclass": Arguments.dataclass,
    "converted": Arguments.converted,
    "reference": Arguments.reference,
}
