"""The images of Python objects that are not plain data: one table, used by both encoders.

An *image* is what an object becomes on the wire: the name of a tag (`docs/PROTOCOL.md` §4), its arguments
and, for what can contain itself, the contents that are filled in afterwards. An object that has no image
becomes a handle.

Objects here may be hostile. Only `type(obj)` is asked what an object is, never `__class__`; `issubclass` is
only asked about real classes, whose answer no metaclass can change; and everything else runs under the
caller's guard.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any, Callable, Optional

    # (name, arguments) or (name, arguments, contents); contents are a dict of fields, or pairs for the name
    # "map".
    Image = tuple
    Imager = Callable[[Any], Optional[Image]]

_IMAGERS: dict[type, Imager] = {complex: lambda value: ("complex", (value.real, value.imag))}


def image(value: object, converters: dict[str, tuple[str, ...]] | None = None) -> Image | None:
    """The image of `value`, which is neither an exact builtin scalar nor an exact builtin container."""
    kind = type(value)
    if converters:
        name = f"{kind.__module__}.{kind.__qualname__}"
        attributes = converters.get(name)
        if attributes is not None:
            return "object", ("converted", [name, [getattr(value, attribute) for attribute in attributes]])
    imager = _IMAGERS.get(kind)
    if imager is None and _UNBOUND:
        _bind()
        imager = _IMAGERS.get(kind)
    if imager is not None:
        return imager(value)
    if _ENUM and issubclass(kind, _ENUM[0]):
        return _enum(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.generic):
        from beep_host.arrays import scalar

        return scalar(value, numpy)
    if issubclass(kind, tuple):
        return _namedtuple(value)
    if "__dataclass_fields__" in type.__dict__["__dict__"].__get__(kind):
        return _dataclass(value)
    return None


# ----------------------------------------------------------------------------------------------------
# Dates and times. The wire carries ISO text with six digits of a second or none, which every CPython reads.


def _iso(value: Any) -> str:
    return value.isoformat()


def _date(value: Any) -> Image:
    return "date", (_iso(value),)


def _time(value: Any) -> Image | None:
    if value.tzinfo is not None or value.fold:
        return None  # Temporal has no time of day with a zone, and none with a fold
    return "time", (_iso(value),)


def _timedelta(value: Any) -> Image:
    return "timedelta", (value.days, value.seconds, value.microseconds)


def _datetime(value: Any) -> Image | None:
    zone = value.tzinfo
    if zone is None:
        return None if value.fold else ("datetime", (_iso(value),))
    name = _zone_name(value, zone)
    return None if name is None else ("datetime_tz", (_iso(value), name))


def _zone_name(value: Any, zone: Any) -> str | None:
    from datetime import timezone

    if zone is timezone.utc:
        return "UTC"
    offset = value.utcoffset()
    if type(zone) is timezone:
        minutes, rest = divmod(offset.days * 86_400 + offset.seconds, 60)
        if rest or offset.microseconds:
            return None  # Temporal's offsets are whole minutes
        return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    zoneinfo = sys.modules.get("zoneinfo")
    if zoneinfo is None or type(zone) is not zoneinfo.ZoneInfo:
        return None  # the rules of any other zone would be lost
    # A wall time that a clock change skips exists in Python and nowhere else.
    back = value.astimezone(timezone.utc).astimezone(zone)
    if back.replace(tzinfo=None) != value.replace(tzinfo=None) or back.fold != value.fold:
        return None
    return zone.key


# ----------------------------------------------------------------------------------------------------
# Numbers and identifiers


def _decimal(value: Any) -> Image:
    return "decimal", (str(value),)


def _uuid(value: Any) -> Image:
    return "uuid", (value.hex,)


# ----------------------------------------------------------------------------------------------------
# Ordered dicts, enums, dataclasses, named tuples. The last three go back only when their class can be found
# by name.


def _ordered_dict(value: Any) -> Image | None:
    if value.__dict__:
        return None  # attributes beside the items would be lost
    return "map", (), value


def class_path(kind: type) -> list[str] | None:
    """`[module, qualname]` when that names `kind` and nothing else."""
    module, name = kind.__module__, kind.__qualname__
    if type(module) is not str or type(name) is not str or find_class(module, name) is not kind:
        return None
    return [module, name]


def find_class(module: str, name: str) -> type | None:
    """The class of that name in a module that is loaded; imports nothing."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) else None


def _enum(value: Any) -> Image | None:
    path = class_path(type(value))
    if path is None:
        return None
    name = value.name
    return "object", ("enum", [*path, name if type(name) is str else None, value.value])


def _namedtuple(value: Any) -> Image | None:
    kind = type(value)
    fields = kind.__dict__.get("_fields")
    if type(fields) is not tuple or kind.__bases__ != (tuple,) or len(fields) != tuple.__len__(value):
        return None
    path = class_path(kind)
    return (
        None
        if path is None
        else ("object", ("namedtuple", [*path, list(fields), list(tuple.__iter__(value))]))
    )


_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement


def _dataclass(value: Any) -> Image | None:
    kind = type(value)
    path = class_path(kind)
    if path is None or not all(base is object or base.__flags__ & _HEAP_TYPE for base in kind.__mro__):
        return None  # a builtin base has a state of its own
    fields = kind.__dataclass_fields__
    names = [name for name, field in fields.items() if field._field_type.name == "_FIELD"]
    extra = getattr(value, "__dict__", {}).keys() - set(names)
    if extra:
        return None  # state beside the fields would be lost
    return "object", ("dataclass", path), {name: getattr(value, name) for name in names}


# ----------------------------------------------------------------------------------------------------
# Types of modules that may not be loaded: each is bound when its module is, so that none is imported for the
# table.

_ENUM: list[type] = []


def _bind_datetime(module: Any) -> None:
    _IMAGERS[module.datetime] = _datetime
    _IMAGERS[module.date] = _date
    _IMAGERS[module.time] = _time
    _IMAGERS[module.timedelta] = _timedelta


def _bind_decimal(module: Any) -> None:
    _IMAGERS[module.Decimal] = _decimal


def _bind_uuid(module: Any) -> None:
    _IMAGERS[module.UUID] = _uuid


def _bind_enum(module: Any) -> None:
    _ENUM.append(module.Enum)


def _bind_array(module: Any) -> None:
    from beep_host.arrays import array_image

    _IMAGERS[module.array] = array_image


def _bind_numpy(module: Any) -> None:
    from beep_host.arrays import ndarray_image

    _IMAGERS[module.ndarray] = ndarray_image


def _bind_collections(module: Any) -> None:
    _IMAGERS[module.OrderedDict] = _ordered_dict


def _bind_builtins(module: Any) -> None:
    from beep_host.arrays import memoryview_image

    _IMAGERS[module.memoryview] = memoryview_image


_UNBOUND: dict[str, Callable[[Any], None]] = {
    "builtins": _bind_builtins,
    "datetime": _bind_datetime,
    "decimal": _bind_decimal,
    "uuid": _bind_uuid,
    "enum": _bind_enum,
    "array": _bind_array,
    "numpy": _bind_numpy,
    "collections": _bind_collections,
}


def _bind() -> None:
    for name in list(_UNBOUND):
        module = sys.modules.get(name)
        if module is None:
            continue
        try:
            _UNBOUND[name](module)
        except AttributeError:
            # Still being imported by another thread, or a stand-in of that name: asked again next time.
            continue
        _UNBOUND.pop(name, None)
