"""Arrays of numbers: numpy's, `array.array` and `memoryview`, as bytes with a dtype, and back; and rows of
floats.

numpy is never imported to send a value: an ndarray can only exist where numpy is loaded. To receive an array
it is imported when it is installed, so that what user code gets does not depend on who imported numpy first.
"""

from __future__ import annotations

import sys
from _pickle import PickleBuffer

from beep_host.errors import ConversionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any

# dtype without its byte order -> (bytes of an item, format of `memoryview.cast` or None where only numpy has
# it).
ITEMS: dict[str, tuple[int, str | None]] = {
    "b1": (1, "?"),
    "i1": (1, "b"),
    "u1": (1, "B"),
    "i2": (2, "h"),
    "u2": (2, "H"),
    "i4": (4, "i"),
    "u4": (4, "I"),
    "i8": (8, "q"),
    "u8": (8, "Q"),
    "f2": (2, "e"),
    "f4": (4, "f"),
    "f8": (8, "d"),
    "c8": (8, None),
    "c16": (16, None),
}
_KIND_OF_FORMAT = {
    **dict.fromkeys("bhilqn", "i"),
    **dict.fromkeys("BHILQN", "u"),
    **dict.fromkeys("efd", "f"),
    "?": "b",
}
_MOST_DIMENSIONS = 64


def item_bytes(dtype: object) -> int:
    """The bytes of one item of a dtype of the wire; raises `ValueError` for any other."""
    if type(dtype) is str and dtype[:1] in ("<", "|"):
        if dtype[1:] in ITEMS:
            return ITEMS[dtype[1:]][0]
        if dtype[1:3] in ("M8", "m8"):
            return 8
    raise ValueError(f"dtype {dtype!r:.40} is none of the wire")


# ----------------------------------------------------------------------------------------------------
# Towards the client


def ndarray_image(array: Any) -> tuple | None:
    """The image of an ndarray (of exactly that class): little-endian items, in C or Fortran order."""
    numpy = sys.modules["numpy"]
    dtype = array.dtype
    kind = dtype.kind
    if kind not in "biufcmM" or dtype.itemsize > (16 if kind == "c" else 8):
        return None  # objects, texts, records, and floats that no typed array holds
    if dtype.byteorder == ">" or (dtype.byteorder == "=" and sys.byteorder == "big"):
        dtype = dtype.newbyteorder("<")
        array = array.astype(dtype)
    shape = array.shape
    strides = _c_strides(shape)
    if not array.flags.c_contiguous:
        if array.flags.f_contiguous:
            array = array.T
            strides = tuple(reversed(_c_strides(array.shape)))
        else:
            array = array.copy(order="C")
    # As bytes, since the buffer protocol knows no dates.
    return "array", (dtype.str, shape, strides, PickleBuffer(array.reshape(-1).view(numpy.uint8)))


def scalar(value: Any, numpy: Any) -> tuple | None:
    """The image of a numpy scalar: the Python value that equals it, where one does."""
    kind = value.dtype.kind
    if kind in "biuSU" or (kind == "f" and value.dtype.itemsize <= 8):
        return "scalar", (value.item(),)
    if kind == "c" and value.dtype.itemsize <= 16:
        return "complex", (float(value.real), float(value.imag))
    return None


def array_image(array: Any) -> tuple | None:
    """The image of an `array.array`."""
    return _view_image(memoryview(array))


def memoryview_image(view: memoryview) -> tuple | None:
    """The image of a `memoryview`: bytes when its items are bytes in a row, else an array."""
    if view.format == "B" and view.ndim == 1:
        return "scalar", (view.tobytes(),) if not view.contiguous else (PickleBuffer(view),)
    return _view_image(view)


def _view_image(view: memoryview) -> tuple | None:
    form = view.format.lstrip("@=<") if sys.byteorder == "little" else view.format.lstrip("<")
    kind = _KIND_OF_FORMAT.get(form)
    name = f"{kind}{view.itemsize}"
    if name not in ITEMS or view.format[:1] in (">", "!"):
        return None
    dtype = f"{'|' if view.itemsize == 1 else '<'}{name}"
    buffer = PickleBuffer(view if view.c_contiguous else view.tobytes())
    return "array", (dtype, view.shape, _c_strides(view.shape), buffer)


def _c_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of C order, in items."""
    strides = []
    step = 1
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return tuple(reversed(strides))


def c_ordered(dtype: str, shape: tuple[int, ...], strides: tuple[int, ...], data: Any) -> Any:
    """The bytes of an image in C order; `strides` are those of C or of Fortran order."""
    if strides == _c_strides(shape):
        return data
    # Only an ndarray can lie otherwise, so numpy is there.
    numpy = sys.modules["numpy"]
    array = numpy.frombuffer(data, dtype=dtype).reshape(tuple(reversed(shape))).T
    return memoryview(array.copy(order="C").reshape(-1).view(numpy.uint8))


# ----------------------------------------------------------------------------------------------------
# From the client


def restore(dtype: str, shape: list[int], data: Any) -> object:
    """The array of a tag: an ndarray when numpy is installed, else an `array.array` or a `memoryview`."""
    size = item_bytes(dtype)
    if type(shape) is not list or len(shape) > _MOST_DIMENSIONS:
        raise ValueError("shape is not a list of at most 64 lengths")
    count = 1
    for length in shape:
        if type(length) is not int or length < 0:
            raise ValueError("shape holds something that is not a length")
        count *= length
    came = memoryview(data).nbytes
    if count * size != came:
        raise ValueError(f"shape {shape!r:.80} of {dtype} needs {count * size} bytes, {came} came")
    numpy = _numpy()
    if numpy is not None:
        # On the very bytes that came; only not when user code could not write to the array, which would surprise.
        writable = bytearray(data) if type(data) is bytes or type(data) is memoryview else data
        return numpy.frombuffer(writable, dtype=numpy.dtype(dtype)).reshape(shape)
    form = ITEMS.get(dtype[1:], (0, None))[1]
    if form is None or (form == "e" and sys.version_info < (3, 12)):
        raise ConversionError(
            f"Cannot make an array of dtype {dtype}: numpy is not installed in this environment",
            hint="Install numpy in the environment of the server.",
        )
    if sys.byteorder == "big":
        raise ConversionError("Cannot make an array: this machine is big-endian and numpy is not installed")
    if len(shape) == 1 and form not in "?e":
        from array import array

        if type(data) is array and data.typecode == form:
            return data  # received into it
        made = array(form)
        made.frombytes(data)
        return made
    flat = memoryview(bytearray(data))
    return flat.cast(form) if len(shape) == 1 else _cast_shape(flat, form, shape)


def _cast_shape(flat: memoryview, form: str, shape: list[int]) -> memoryview:
    if 0 in shape:
        raise ConversionError(
            f"Cannot make an array of shape {shape}: memoryview has no empty ones and numpy is missing",
            hint="Install numpy in the environment of the server.",
        )
    return flat.cast(form, shape)


def _numpy() -> Any:
    numpy = sys.modules.get("numpy", _NOT_ASKED)
    if numpy is not _NOT_ASKED:
        return numpy
    global _numpy_missing
    if _numpy_missing:
        return None
    try:
        import numpy
    except ImportError:
        # Asked once: looking through sys.path for each array would cost more than the array.
        _numpy_missing = True
        return None
    return numpy


_NOT_ASKED = object()
_numpy_missing = False


# ----------------------------------------------------------------------------------------------------
# Rows of 32-bit floats from anything array-like


def floats(value: object) -> tuple[list[int], Any]:
    """`([count], bytes)`: the items as 32-bit little-endian floats in C order."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and _is_array_like(value, numpy):
        array = _float_array(value, numpy)
        return [array.size], memoryview(array.reshape(-1).view(numpy.uint8))
    rows = _nested(value)
    flat: list = []
    _flatten(rows, flat)
    return [len(flat)], _pack_floats(flat)


def floats2d(value: object) -> tuple[list[int], Any]:
    """`([rows, columns], bytes)`: as `floats`, of two dimensions; a value of one dimension is one row."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and _is_array_like(value, numpy):
        array = _float_array(value, numpy)
        if array.ndim == 1:
            array = array.reshape(1, -1)
        if array.ndim != 2:
            raise ConversionError(f"Cannot give rows of floats: the value has {array.ndim} dimensions, not 2")
        return list(array.shape), memoryview(array.reshape(-1).view(numpy.uint8))
    nested = _nested(value)
    if type(nested) is not list:
        raise ConversionError("Cannot give rows of floats: the value is one number")
    if not nested or not isinstance(nested[0], (list, tuple)) and not _has_items(nested[0]):
        nested = [nested]
    rows = [_nested(row) for row in nested]
    columns = len(rows[0]) if type(rows[0]) is list else 0
    flat: list = []
    for number, row in enumerate(rows):
        if type(row) is not list or len(row) != columns:
            raise ConversionError(
                f"Cannot give rows of floats: row {number} is not {columns} items long, as the first is",
                f"$[{number}]",
            )
        if any(_has_items(item) for item in row):
            raise ConversionError("Cannot give rows of floats: the value has more than 2 dimensions")
        flat.extend(row)
    return [len(rows), columns], _pack_floats(flat)


def _is_array_like(value: object, numpy: Any) -> bool:
    return (
        isinstance(value, numpy.ndarray) or hasattr(type(value), "__array__") or type(value) in (list, tuple)
    )


def _float_array(value: object, numpy: Any) -> Any:
    try:
        with numpy.errstate(over="ignore"):  # beyond 32 bits is infinity, as the operation says
            array = numpy.asarray(value)
            if array.dtype.kind not in "biufO":
                raise ConversionError(f"Cannot give floats: the items are {array.dtype.name}")
            return array.astype("<f4", order="C", copy=False)
    except (TypeError, ValueError) as error:
        raise ConversionError(f"Cannot give floats: {error}") from error


def _has_items(value: object) -> bool:
    return hasattr(type(value), "__iter__") and not isinstance(value, (str, bytes))


def _nested(value: object) -> Any:
    """`value` as a list of its items, or itself when it has none."""
    if isinstance(value, (str, bytes, dict)):
        raise ConversionError(f"Cannot give floats: {type(value).__name__} is not array-like")
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, (memoryview, bytearray)) or type(value).__module__ == "array":
        return memoryview(value).tolist()  # type: ignore[arg-type]
    to_list = getattr(type(value), "tolist", None) or getattr(type(value), "to_list", None)
    if to_list is not None:
        return to_list(value)
    return list(value) if hasattr(type(value), "__iter__") else value  # type: ignore[call-overload]


def _flatten(value: object, flat: list) -> None:
    """Adds the numbers of nested rows; all rows of one level must be equally long."""
    lengths: list[int] = []
    stack = [iter((value,))]
    while stack:
        for item in stack[-1]:
            level = len(stack) - 1
            if not _has_items(item):
                if level < len(lengths):
                    raise ConversionError("Cannot give floats: numbers and rows are mixed")
                flat.append(item)
                continue
            if level >= _MOST_DIMENSIONS:
                raise ConversionError(
                    f"Cannot give floats: the value is nested more than {_MOST_DIMENSIONS} deep"
                )
            rows = _nested(item)
            if level == len(lengths) and not flat:
                lengths.append(len(rows))
            elif level >= len(lengths) or lengths[level] != len(rows):
                raise ConversionError("Cannot give floats: rows of one level are not equally long")
            stack.append(iter(rows))
            break
        else:
            stack.pop()


def _pack_floats(flat: list) -> Any:
    from array import array

    try:
        packed = array("f", flat)
    except (TypeError, OverflowError) as error:
        raise ConversionError(f"Cannot give floats: {error}") from error
    if sys.byteorder == "big":
        packed.byteswap()
    return memoryview(packed).cast("B")
