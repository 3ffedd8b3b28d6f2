"""Reads the vectors that the TypeScript twin reads too (`tests/values/golden_test.ts`)."""

from __future__ import annotations

import copy
import json
import math
import unittest
from array import array
from collections import OrderedDict
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from http import HTTPStatus
from uuid import UUID
from zoneinfo import ZoneInfo

from beep_host import values

from tests.golden import read_golden

HANDLE = object()
FUNCTION = "the function"
ASYNC = "the async function"
# What the vectors' expressions name.
SCOPE: dict[str, object] = {
    "array": array,
    "OrderedDict": OrderedDict,
    "date": date,
    "datetime": datetime,
    "time": time,
    "timedelta": timedelta,
    "timezone": timezone,
    "Decimal": Decimal,
    "HTTPStatus": HTTPStatus,
    "UUID": UUID,
    "ZoneInfo": ZoneInfo,
    "HANDLE": HANDLE,
    "FUNCTION": FUNCTION,
    "ASYNC": ASYNC,
}


class Context:
    def new_handle(self, value: object) -> tuple[int, str]:
        return 7, type(value).__name__

    def handle(self, number: int) -> object:
        return {7: HANDLE}[number]

    def function(self, number: int, is_async: bool) -> str:
        return {(3, False): FUNCTION, (4, True): ASYNC}[(number, is_async)]


def same(one: object, other: object) -> bool:
    """Equal in type and value, where NaN equals itself and -0.0 is not 0.0."""
    if type(one) is not type(other):
        # Without numpy an array of bytes comes back as what it was; with numpy as an ndarray.
        return type(one).__name__ == "ndarray" and one.tolist() == other.tolist()  # type: ignore[attr-defined]
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and (
            one is one[0] if one and one[0] is one else all(map(same, one, other))
        )
    return repr(one) == repr(other) if one != one else one == other


class Golden(unittest.TestCase):
    def test_every_vector(self) -> None:
        vectors = read_golden("values.json")["values"]
        self.assertGreater(len(vectors), 50)
        for vector in vectors:
            with self.subTest(vector["name"]):
                value = eval(vector["python"], dict(SCOPE))
                parts = [bytes.fromhex(part) for part in vector["parts"]]
                if vector["direction"] != "client":
                    decoded = values.decode(copy.deepcopy(vector["tagged"]), parts, Context())
                    self.assertTrue(same(decoded, value), f"{decoded!r} is not {value!r}")
                if vector["direction"] != "python":
                    text, written = values.encode_tagged(value, "auto", Context())
                    self.assertEqual(json.loads(text), vector["tagged"])
                    self.assertEqual([bytes(part) for part in written], parts)
                    kind, _, packed = values.encode([value], "auto", Context())
                    self.assertEqual(
                        (kind, [bytes(part).hex() for part in packed]), ("packed", vector["packed"])
                    )

    def test_comparison_can_fail(self) -> None:
        self.assertFalse(same(0.0, -0.0))
        self.assertFalse(same(1, 1.0))
        self.assertFalse(same([1, (2,)], [1, (3,)]))
        self.assertTrue(same(math.nan, math.nan))


if __name__ == "__main__":
    unittest.main()
