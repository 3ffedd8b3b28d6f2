"""Reads tagged values (`docs/PROTOCOL.md` §4): what arguments from a client become.

Nothing here executes what came: a tag names a builtin type, a handle, a function of the client, or a class
that user code made known. Whatever is malformed, at whatever depth, is a `ConversionError` that says where.
"""

from __future__ import annotations

from beep_host.classes import construct, enum_member, importable, loaded_class, time_zone
from beep_host.errors import ConversionError, HostError
from beep_host.nesting import nesting
from beep_host.paths import key_path
from beep_host.tag_checks import a_hashable, a_list, a_str

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any, Callable

_PENDING = object()
_HEX = frozenset("0123456789abcdef")


def decode(value: Any, parts: Any, context: Any, *, skip: int = 0) -> Any:
    """The Python value of tagged JSON, changed in place where it is not new.

    `context.handle(id)` gives an object or raises `StaleHandle`; `context.function(id, is_async)` gives a
    callable. `skip` is how many leading steps of a path belong to the message and not to the caller's value.
    """
    reader = _Reader(parts, context)
    try:
        return reader.read(value)
    except ConversionError as error:
        raise ConversionError(error.message, reader.path(skip), hint=error.hint) from error.__cause__
    except HostError:
        raise
    except RecursionError:
        raise ConversionError("Cannot read the value: it is nested too deep", reader.path(skip)) from None
    except Exception as error:
        text = f"Cannot read the value: {type(error).__name__}: {error!s:.200}"
        raise ConversionError(text, reader.path(skip)) from error


class _Key:
    """A step of a path: the key itself of a pair, rather than its value."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class _Reader:
    __slots__ = ("context", "lent", "opened", "parts", "steps")

    def __init__(self, parts: Any, context: Any) -> None:
        self.parts = parts
        self.context = context
        # The parts whose memory an array has taken.
        self.lent: set = set()
        self.opened: list = []
        self.steps: list = []

    def path(self, skip: int) -> str:
        path = "$"
        for step in self.steps[skip:]:
            if type(step) is _Key:
                path = f"{path}.keys()[{step.number}]"
            else:
                path = key_path(path, step)
        return path

    def read(self, value: Any) -> Any:
        kind = type(value)
        if kind is list:
            self._open(value)
            return self._read_items(value)
        if kind is not dict:
            return value
        if len(value) == 1 and "$" in value:
            return self._read_tag(value["$"])
        self._open(value)
        for key, child in value.items():
            kind = type(child)
            if kind is dict:
                # A handle among the locals of a call is what most tagged values are: read without a step of
                # its own.
                tag = child.get("$")
                if (
                    type(tag) is list
                    and len(child) == 1
                    and len(tag) == 2
                    and tag[0] == "handle"
                    and type(tag[1]) is int
                ):
                    value[key] = self.context.handle(tag[1])
                    continue
            elif kind is not list:
                continue
            # Assigning to a key that is there does not disturb the iteration.
            value[key] = self._read_step(key, child)
        return value

    def _open(self, container: Any) -> None:
        self.opened.append(container)
        # Our client refuses it by itself; this bounds others, and the interpreter's stack.
        if len(self.steps) > nesting.read:
            raise ConversionError(f"Cannot read the value: it is nested more than {nesting.written} deep")

    def _read_step(self, step: Any, value: Any) -> Any:
        self.steps.append(step)
        read = self.read(value)
        # Not in a finally: when reading fails, the steps that are left are the path of the failure.
        self.steps.pop()
        return read

    def _read_items(self, items: Any) -> list:
        for number, child in enumerate(a_list(items)):
            if type(child) is dict or type(child) is list:
                items[number] = self._read_step(number, child)
        return items

    def _read_tag(self, tag: Any) -> Any:
        if type(tag) is not list or not tag or type(tag[0]) is not str:
            raise ConversionError("Cannot read the value: a tag is not a list that begins with its name")
        reader = _TAGS.get(tag[0])
        if reader is None:
            raise ConversionError(f'Cannot read the value: tag "{tag[0]:.40}" is not known')
        try:
            return reader(self, *tag[1:])
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                raise ConversionError(
                    f'Cannot read the value: tag "{tag[0]}" has {len(tag) - 1} arguments'
                ) from None
            raise

    # -- containers
    # -------------------------------------------------------------------------------------------

    def _tuple(self, items: Any) -> tuple:
        return self._immutable(items, tuple)

    def _frozenset(self, items: Any) -> frozenset:
        self.opened.append(_PENDING)
        number = len(self.opened) - 1
        made = frozenset(self._fill_set(set(), items))
        self.opened[number] = made
        return made

    def _immutable(self, items: Any, make: Callable[[list], Any]) -> Any:
        number = len(self.opened)
        self._open(_PENDING)
        self.opened[number] = made = make(self._read_items(items))
        return made

    def _set(self, items: Any) -> set:
        made: set = set()
        self._open(made)
        return self._fill_set(made, items)

    def _fill_set(self, made: set, items: Any) -> set:
        for number, child in enumerate(a_list(items)):
            self.steps.append(number)
            member = self.read(child)
            count = len(made)
            made.add(a_hashable(member))
            if len(made) == count:
                raise ConversionError("Cannot make a set: this member equals an earlier one in Python")
            self.steps.pop()
        return made

    def _map(self, pairs: Any) -> dict:
        from collections import OrderedDict

        return self._fill_dict(OrderedDict(), pairs)

    def _dict(self, pairs: Any) -> dict:
        return self._fill_dict({}, pairs)

    def _fill_dict(self, made: dict, pairs: Any) -> dict:
        self._open(made)
        for number, pair in enumerate(a_list(pairs)):
            self.steps.append(_Key(number))
            if type(pair) is not list or len(pair) != 2:
                raise ConversionError("Cannot read the value: an item of a dict is not a pair")
            key = a_hashable(self.read(pair[0]))
            if key in made:
                raise ConversionError("Cannot make a dict: this key equals an earlier one in Python")
            self.steps.pop()
            made[key] = self._read_step(key, pair[1])
        return made

    def _rows(self, keys: Any, columns: Any) -> list:
        from beep_host.rows import make_rows

        made = make_rows(a_list(keys), a_list(columns), self._part)
        self._open(made)
        self.opened.extend(made)
        return made

    def _ref(self, number: Any) -> Any:
        if type(number) is not int or not 0 <= number < len(self.opened):
            raise ConversionError("Cannot read the value: a reference points to nothing before it")
        if self.opened[number] is _PENDING:
            raise ConversionError(
                "Cannot make a cycle through a tuple, a frozenset or another immutable value"
            )
        return self.opened[number]

    # -- leaves
    # -----------------------------------------------------------------------------------------------

    def _part(self, part: Any) -> Any:
        if type(part) is str:
            from binascii import a2b_base64

            return a2b_base64(part)
        if type(part) is not int or not 0 <= part < len(self.parts):
            raise ConversionError("Cannot read the value: it names a part that did not come")
        return self.parts[part]

    def _str(self, part: Any) -> str:
        # Three-byte surrogates are read as they are; a pair of them would be the two halves of one character.
        text = str(self._part(part), "utf-8", "surrogatepass")
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

    def _bytes(self, part: Any) -> bytes:
        made = bytes(self._part(part))
        if type(part) is int:
            # What is reached again is the same object; bytes that nobody can change may well be one.
            self.parts[part] = made
        return made

    def _bytearray(self, part: Any) -> bytearray:
        return bytearray(self._part(part))

    def _int(self, text: Any) -> int:
        # int() takes more than what we write: spaces, underscores, a prefix, digits of other scripts.
        if not _HEX.issuperset(a_str(text).removeprefix("-")) or text in ("", "-"):
            raise ConversionError(f'Cannot make an int of "{text:.80}": it is not lower-case hex digits')
        return int(text, 16)  # a power of two: linear, and without the limit on decimal digits

    def _float(self, text: Any) -> float:
        return float(a_str(text))

    def _complex(self, real: Any, imaginary: Any) -> complex:
        real, imaginary = self.read(real), self.read(imaginary)
        if type(real) not in (int, float) or type(imaginary) not in (int, float):
            raise ConversionError("Cannot make a complex: its parts are not numbers")
        return complex(real, imaginary)

    def _decimal(self, text: Any) -> Any:
        from decimal import Context, Decimal, InvalidOperation

        try:
            # A context of its own: the user's may trap or round.
            return Decimal(a_str(text), Context(traps=[InvalidOperation]))
        except InvalidOperation:
            raise ConversionError(f'Cannot make a Decimal of "{text:.40}"') from None

    def _uuid(self, text: Any) -> Any:
        from uuid import UUID

        return UUID(hex=a_str(text))

    def _datetime(self, text: Any) -> Any:
        from datetime import datetime

        return datetime.fromisoformat(a_str(text))

    def _datetime_tz(self, text: Any, zone: Any) -> Any:
        from datetime import datetime, timezone

        moment = datetime.fromisoformat(a_str(text))
        if moment.tzinfo is None:
            raise ConversionError("Cannot make an aware datetime: its text has no offset")
        if a_str(zone) == "UTC":
            return moment.astimezone(timezone.utc)
        return moment if zone[:1] in ("+", "-") else moment.astimezone(time_zone(zone))

    def _date(self, text: Any) -> Any:
        from datetime import date

        return date.fromisoformat(a_str(text))

    def _time(self, text: Any) -> Any:
        from datetime import time

        return time.fromisoformat(a_str(text))

    def _timedelta(self, days: Any, seconds: Any, microseconds: Any) -> Any:
        from datetime import timedelta

        if not type(days) is type(seconds) is type(microseconds) is int:
            raise ConversionError("Cannot make a timedelta: its parts are not integers")
        return timedelta(days, seconds, microseconds)

    def _array(self, dtype: Any, shape: Any, part: Any) -> Any:
        from beep_host.arrays import restore

        data = self._part(part)
        if part in self.lent:
            data = bytes(data)  # one array's items are not another's
        elif type(part) is int:
            self.lent.add(part)
        self.opened.append(made := restore(a_str(dtype), shape, data))
        return made

    def _handle(self, number: Any, *_type_name: Any) -> Any:
        if type(number) is not int:
            raise ConversionError("Cannot read the value: a handle's id is not an integer")
        return self.context.handle(number)

    def _function(self, number: Any, is_async: Any) -> Any:
        if type(number) is not int or type(is_async) is not bool:
            raise ConversionError("Cannot read the value: a function is not an id and a boolean")
        return self.context.function(number, is_async)

    # -- enums, dataclasses, named tuples and converters
    # ---------------------------------------------------------

    def _object(self, kind: Any, fields: Any) -> Any:
        fields = a_list(fields)
        if kind == "enum":
            self.opened.append(member := enum_member(*fields[:3], self.read(fields[3])))
            return member
        if kind == "namedtuple":
            module, name, names, values = fields
            found = loaded_class(module, name)
            if getattr(found, "_fields", None) != tuple(names):
                raise ConversionError(f"Cannot make a {name}: the class in Python has other fields")
            return self._immutable(values, lambda items: tuple.__new__(found, items))
        if kind == "dataclass":
            return self._dataclass(*fields)
        if kind == "converted":
            name, arguments, keywords = fields
            found = importable(a_str(name))
            return self._immutable([arguments, keywords], lambda both: construct(found, *both))
        raise ConversionError("Cannot read the value: an object is of no known kind")

    def _dataclass(self, module: Any, name: Any, state: Any) -> Any:
        found = loaded_class(module, name)
        fields = getattr(found, "__dataclass_fields__", None)
        if type(fields) is not dict or type(state) is not dict or not state.keys() <= fields.keys():
            raise ConversionError(f"Cannot make a {name}: it is no dataclass with these fields")
        # As copying does: the fields are set, no constructor runs. Frozen classes refuse only their own
        # setattr.
        made = object.__new__(found)
        self._open(made)
        for field, child in state.items():
            object.__setattr__(made, field, self._read_step(field, child))
        return made


_TAGS: dict[str, Callable] = {
    name: getattr(_Reader, f"_{name}")
    for name in (
        "array",
        "bytearray",
        "bytes",
        "complex",
        "date",
        "datetime",
        "datetime_tz",
        "decimal",
        "dict",
        "float",
        "frozenset",
        "function",
        "handle",
        "int",
        "map",
        "object",
        "ref",
        "rows",
        "set",
        "str",
        "time",
        "timedelta",
        "tuple",
        "uuid",
    )
}
