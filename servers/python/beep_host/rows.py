"""Lists of records that came as columns: the counterpart of `core/values/plain.ts`."""

from __future__ import annotations

import sys
from array import array

from beep_host.errors import ConversionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any, Callable

# What our client sends at most; it also bounds how many makers are kept.
_MOST_COLUMNS = 64
_SCALARS = frozenset((type(None), bool, int, float, str))
_MAKERS: dict[int, Any] = {}


def make_rows(keys: list, columns: list, part: Callable[[Any], Any]) -> list[dict]:
    """The records; `part` gives the bytes of a part."""
    if not 0 < len(keys) == len(columns) <= _MOST_COLUMNS:
        raise ConversionError("Cannot make rows: there are not as many columns as keys, or too many")
    if any(type(key) is not str for key in keys) or len(set(keys)) != len(keys):
        raise ConversionError("Cannot make rows: the keys are not strings that all differ")
    cells = [_cells(column, part) for column in columns]
    if any(len(column) != len(cells[0]) for column in cells):
        raise ConversionError("Cannot make rows: the columns are not equally long")
    return _maker(len(keys))(*keys, *cells)


def _cells(column: Any, part: Callable[[Any], Any]) -> list:
    if type(column) is list:
        if not _SCALARS.issuperset(map(type, column)):
            raise ConversionError("Cannot make rows: a cell is no scalar")
        return column
    if type(column) is not dict or not ("i4" in column) ^ ("f8" in column):
        raise ConversionError("Cannot make rows: a column is neither a list nor numbers in a part")
    numbers = array("i" if "i4" in column else "d")
    numbers.frombytes(part(column["i4"] if "i4" in column else column["f8"]))
    if sys.byteorder == "big":
        numbers.byteswap()
    cells: list = numbers.tolist()
    for index in column.get("int", ()):
        # What is not an index or not a whole number raises, which the reader turns into its own error.
        cells[index] = int(cells[index])
    return cells


def _maker(count: int) -> Any:
    """A function of `count` keys and `count` columns that makes the dicts in one comprehension, the fastest
    way there is.

    Its source depends on the count alone; nothing that came over a wire is in it.
    """
    maker = _MAKERS.get(count)
    if maker is None:
        numbers = range(count)
        keys = ",".join([f"k{n}" for n in numbers])
        columns = ",".join([f"c{n}" for n in numbers])
        cells = "".join([f"v{n}," for n in numbers])
        items = ",".join([f"k{n}:v{n}" for n in numbers])
        source = f"lambda {keys},{columns}: [{{{items}}} for {cells} in zip({columns})]"
        maker = _MAKERS[count] = eval(source, {"zip": zip})
    return maker
