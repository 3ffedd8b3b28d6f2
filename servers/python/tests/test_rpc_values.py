"""`Value` messages: every kind there and back, by the same rules as everywhere else."""

import enum
import sys
import unittest
from collections import OrderedDict, namedtuple
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parents[1]))

from beep_host import rpc_binary, rpc_json, values  # noqa: E402
from beep_host.errors import ConversionError  # noqa: E402
from beep_host.rpc_values import Arguments, to_message  # noqa: E402

Point = namedtuple("Point", "x y")


class Color(enum.Enum):
    RED = 1


class Session:
    """As much of a session as values ask for."""

    def __init__(self) -> None:
        self.held: dict = {}

    def new_handle(self, value: object) -> tuple:
        self.held[len(self.held) + 1] = value
        return len(self.held), type(value).__name__

    def drop_handles(self, ids: list) -> None:
        for number in ids:
            self.held.pop(number, None)

    def handle(self, number: int) -> object:
        return self.held[number]


VALUES = [
    None, True, 0, -1, 2**53, 2**63 - 1, -(2**63), 2**63, 2**70, 1.5, -0.0, 2.0, float("inf"), 1e300,
    "", "héllo 😀", "\ud800", b"", b"\x00\xff", bytearray(b"ab"),
    [], [1, [2]], (), (1, (2,)), {1, 2}, frozenset([1]), {}, {"a": 1}, {"$": 1}, {1: "a", (1, 2): None},
    OrderedDict(a=1), datetime(2024, 1, 2, 3, 4, 5, 6), datetime(2024, 1, 2, tzinfo=timezone.utc),
    datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=2))), date(2024, 1, 2), time(3, 4), timedelta(-1, 2, 3),
    Decimal("1.50"), UUID(int=5), 1 + 2j, complex(0.0, -0.0), Point(1, "b"), Color.RED,
]  # fmt: skip


class ValuesTest(unittest.TestCase):
    def back(self, message: dict, session: Session) -> object:
        reader = Arguments()
        row = ["code", reader.named([{"name": "v", "value": message}])]
        return values.decode(row, reader.parts, session)[1]["v"] if reader.is_tagged else row[1]["v"]

    def test_there_and_back(self) -> None:
        for value in VALUES:
            session = Session()
            message = to_message(value, "auto", session)
            for codec in (rpc_binary, rpc_json):
                with self.subTest(value=value, codec=codec.__name__):
                    read = codec.decode("Value", codec.encode("Value", message))
                    got = self.back(read, session)
                    self.assertEqual((type(got), repr(got)), (type(value), repr(value)))

    def test_not_a_number(self) -> None:
        got = self.back(to_message(float("nan"), "auto", Session()), Session())
        self.assertNotEqual(got, got)

    def test_shared_objects_stay_shared(self) -> None:
        inner = [1]
        value = [inner, {"k": inner}, (inner,)]
        value.append(value)
        got = self.back(to_message(value, "auto", Session()), Session())
        self.assertIs(got[0], got[1]["k"])
        self.assertIs(got[0], got[2][0])
        self.assertIs(got, got[3])

    def test_references_count_within_their_own_value(self) -> None:
        shared = {"list": {"items": [{"list": {"items": []}}, {"reference": 1}]}}
        reader = Arguments()
        row = [0, "name", reader.row([shared, shared]), reader.named([{"name": "k", "value": shared}])]
        _, _, args, kwargs = values.decode(row, reader.parts, Session())
        for one in (*args, kwargs["k"]):
            self.assertIs(one[0], one[1])
        self.assertIsNot(args[0][0], args[1][0])

    def test_handles(self) -> None:
        session = Session()
        thing = object()
        message = to_message([thing], "auto", session)
        self.assertEqual(message["list"]["items"][0]["handle"], {"id": 1, "type_name": "object"})
        self.assertIs(self.back(message, session)[0], thing)
        with self.assertRaises(ConversionError):
            to_message(thing, "value", session)

    def test_names_come_once(self) -> None:
        with self.assertRaises(ConversionError):
            Arguments().named([{"name": "a"}, {"name": "a"}])


if __name__ == "__main__":
    unittest.main()
