"""Values in Python alone: what the tests in TypeScript, which see both sides, cannot reach from there."""

from __future__ import annotations

import json
import os
import random
import sys
import unittest
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from beep_host import values
from beep_host.errors import ConversionError, HostError, StaleHandle
from beep_host.images import image
from beep_host.packing import GLOBALS, has_surrogate_pair, pack_handle

from tests.golden import read_golden


class Context:
    """Holds handles, and counts what is given back."""

    def __init__(self) -> None:
        self.objects: dict[int, object] = {}
        self.dropped: list[int] = []

    def new_handle(self, value: object) -> tuple[int, str]:
        self.objects[len(self.objects) + 1] = value
        return len(self.objects), type(value).__name__

    def drop_handles(self, numbers: list[int]) -> None:
        self.dropped.extend(numbers)

    def handle(self, number: int) -> object:
        if number not in self.objects:
            raise StaleHandle(f"Cannot use handle {number}: it is not held")
        return self.objects[number]

    def function(self, number: int, is_async: bool) -> Any:
        return lambda: (number, is_async)


@dataclass
class Point:
    x: int
    y: object = None


@dataclass(frozen=True)
class Frozen:
    __slots__ = ("x",)
    x: int


class Pair(NamedTuple):
    left: object
    right: object


class Colour(Enum):
    RED = "red"


def decoded(value: Any, parts: Any = (), **options: Any) -> Any:
    return values.decode(value, list(parts), Context(), **options)


class Encode(unittest.TestCase):
    def test_scalars_travel_as_json(self) -> None:
        for value, text in [
            (None, b"null"),
            (True, b"true"),
            (False, b"false"),
            (0, b"0"),
            (-(2**53) + 1, b"-9007199254740991"),
            (1.5, b"1.5"),
            (-0.0, b"-0.0"),
            (1e22, b"1e+22"),
            ('a"\n', b'"a\\"\\n"'),
        ]:
            self.assertEqual(values.encode(value, "auto", None), ("ok", text, []))
            self.assertEqual(repr(json.loads(text)), repr(value))

    def test_everything_else_is_packed(self) -> None:
        for value in (2**53, float("nan"), "é", "a" * 5000, [], (), {}, b""):
            kind, text, parts = values.encode(value, "auto", Context())
            self.assertEqual((kind, text, bytes(parts[0][:2])), ("packed", b"", b"\x80\x05"))

    def test_large_bytes_are_sent_from_where_they_are(self) -> None:
        value = bytes(100_000)
        parts = values.encode(value, "auto", Context())[2]
        self.assertEqual([len(part) for part in parts[1:]], [100_000])
        self.assertIs(parts[1].obj, value)
        self.assertLess(len(parts[0]), 100)

    def test_a_handle_of_any_size_is_written_by_hand(self) -> None:
        import pickle

        class Reader(pickle.Unpickler):
            def find_class(self, module: str, name: str) -> Any:
                assert (module, name) == ("beep_host.values", "handle")
                return lambda *arguments: arguments

        import io

        for number in (1, 127, 128, 255, 256, 65_535, 2**31, 2**53):
            for name in ("object", "", "é" * 200):
                read = Reader(io.BytesIO(pack_handle((number, name)))).load()
                self.assertEqual(read[0], number)
                self.assertTrue(name.startswith(read[1]) and len(read[1].encode()) <= 255)

    def test_what_fails_late_gives_its_handles_back(self) -> None:
        context = Context()
        deep: list = []
        for _ in range(100_000):
            deep = [deep]
        kind, _, parts = values.encode([object(), deep], "auto", context)
        self.assertEqual((kind, len(parts)), ("packed", 1))
        self.assertEqual(context.dropped, [1])
        self.assertEqual(list(context.objects), [1, 2])

    def test_a_path_leads_to_what_has_no_image(self) -> None:
        hidden = object()
        for value, path in [
            ([1, {"a b": (hidden,)}], '$[1]["a b"][0]'),
            ({1: {"x": hidden}}, "$[1].x"),
            ({hidden: 1}, "$.keys()"),
            (hidden, "$"),
        ]:
            for encode in (values.encode, values.encode_tagged):
                with self.assertRaises(ConversionError) as raised:
                    encode(value, "value", Context())
                self.assertEqual(raised.exception.path, path)

    def test_a_container_that_changes_meanwhile_is_a_handle_or_an_error(self) -> None:
        class Grower(Context):
            def new_handle(self, value: object) -> tuple[int, str]:
                if value is not growing:
                    growing[len(growing)] = 0
                return super().new_handle(value)

        growing: dict = {}
        for encode in (values.encode, values.encode_tagged):
            growing.clear()
            growing.update({"a": object(), "b": object(), "c": 2})
            context = Grower()
            encode(growing, "auto", context)
            self.assertIs(context.objects[max(context.objects)], growing)
            self.assertEqual(context.dropped, list(context.objects)[:-1])

    def test_only_known_names_are_in_the_closed_table(self) -> None:
        for name, found in GLOBALS.items():
            self.assertIs(getattr(values, name), found)
            with self.assertRaises(TypeError):
                found("anything")

    def test_pairs_of_surrogates_are_found(self) -> None:
        self.assertTrue(has_surrogate_pair("x\ud800\udc00"))
        for text in ("\udc00\ud800", "\ud800x\udc00", "\U0001f600", "\ud800\ud800"):
            self.assertFalse(has_surrogate_pair(text))


class Images(unittest.TestCase):
    def test_subclasses_are_not_flattened(self) -> None:
        for base in (int, str, list, dict, set, frozenset, float, bytes, tuple, bytearray, OrderedDict):
            kind = type("Kind", (base,), {})
            self.assertIsNone(image(kind()), base)

    def test_a_class_that_cannot_be_found_again_has_no_image(self) -> None:
        @dataclass
        class Local:
            x: int

        self.assertIsNone(image(Local(1)))
        self.assertIsNone(image(Enum("Made", "A").A))  # type: ignore[attr-defined]

    def test_state_beside_the_fields_has_no_image(self) -> None:
        point = Point(1)
        self.assertEqual(image(point), ("object", ("dataclass", [__name__, "Point"]), {"x": 1, "y": None}))
        point.extra = 1  # type: ignore[attr-defined]
        self.assertIsNone(image(point))

    def test_numpy_is_not_imported(self) -> None:
        from subprocess import run

        code = "import sys; from beep_host import values; values.encode([1, {2: object}], 'auto', C()); "
        lean = "unwanted = {'numpy', 'json', 're', 'datetime', 'enum', 'inspect'} & set(sys.modules); "
        lean += "assert not unwanted, unwanted"
        context = "\nclass C:\n    def new_handle(self, value): return 1, 'x'\n"
        directory = os.path.dirname(os.path.dirname(values.__file__))
        code = f"import sys; sys.path.insert(0, {directory!r}){context}{code}{lean}"
        done = run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Decode(unittest.TestCase):
    def test_plain_values_are_changed_in_place_and_kept(self) -> None:
        inner: list = [1]
        value = {"a": inner}
        self.assertIs(decoded(value), value)
        self.assertIs(value["a"], inner)

    def test_classes_come_back(self) -> None:
        context = Context()
        cyclic = Point(1)
        cyclic.y = [cyclic]
        for value in (Frozen(3), Pair(1, [2]), Colour.RED, Point(1, Pair(1, None))):
            text, parts = values.encode_tagged(value, "value", context)
            back = values.decode(json.loads(text), parts, context)
            self.assertEqual((type(back), back), (type(value), value))
        text, parts = values.encode_tagged(cyclic, "value", context)
        back = values.decode(json.loads(text), parts, context)
        self.assertIs(back.y[0], back)

    def test_a_foreign_handle_is_stale(self) -> None:
        with self.assertRaises(StaleHandle):
            decoded({"a": {"$": ["handle", 9]}})

    def test_a_path_leads_to_what_is_broken(self) -> None:
        bad = {"$": ["nothing"]}
        for value, skip, path in [
            ([0, {"rows": [1, {"when": bad}]}], 1, "$.rows[1].when"),
            ({"a b": {"$": ["tuple", [1, bad]]}}, 0, '$["a b"][1]'),
            ({"$": ["dict", [["k", bad]]]}, 0, "$.k"),
            ({"$": ["dict", [[bad, 1]]]}, 0, "$.keys()[0]"),
            ({"$": ["set", [bad]]}, 0, "$[0]"),
            ({"$": ["object", "namedtuple", [__name__, "Pair", ["left", "right"], [1, bad]]]}, 0, "$[1]"),
            ({"$": ["object", "dataclass", [__name__, "Point", {"x": bad}]]}, 0, "$.x"),
        ]:
            with self.assertRaises(ConversionError) as raised:
                decoded(value, skip=skip)
            self.assertEqual(raised.exception.path, path)

    def test_depth_is_limited(self) -> None:
        value: Any = []
        for _ in range(300):
            value = [value]
        with self.assertRaisesRegex(ConversionError, "nested"):
            decoded(value)
        value = []
        for _ in range(300):
            value = {"$": ["tuple", [value]]}
        with self.assertRaisesRegex(ConversionError, "nested"):
            decoded(value)

    def test_sizes_that_do_not_fit_are_refused_before_anything_is_made(self) -> None:
        for shape in ([2**40], [2**62, 4], [-1], [1.0], "x", [[1]], [1] * 65):
            with self.assertRaises(ConversionError):
                decoded({"$": ["array", "<f8", shape, 0]}, [bytes(8)])
        for dtype in ("O", "|O8", ">f8", "<U1", "<f16", "<M4", "f8", 8, "<c8x"):
            with self.assertRaises(ConversionError):
                decoded({"$": ["array", dtype, [1], 0]}, [bytes(8)])

    def test_rows_that_do_not_fit_are_refused(self) -> None:
        parts = [bytes(8), bytes(7)]
        for keys, columns in [
            ([], []),
            (["a"], []),
            (["a", "a"], [[1], [1]]),
            ([1], [[1]]),
            (["a", "b"], [[1], [1, 2]]),
            (["a"], [[[1]]]),
            (["a"], [[{}]]),
            (["a"], ["ab"]),
            (["a"], [{}]),
            (["a"], [{"i4": 1}]),
            (["a"], [{"i4": 2}]),
            (["a"], [{"i4": 0, "f8": 0}]),
            (["a"], [{"f8": 0, "int": [1]}]),
            (["a"], [{"f8": 0, "int": 1}]),
            ([str(n) for n in range(65)], [[1]] * 65),
        ]:
            with self.assertRaises(ConversionError):
                decoded({"$": ["rows", keys, columns]}, parts)
        rows = decoded({"$": ["rows", ["a", "$"], [{"f8": 0, "int": [0]}, [None]]]}, parts)
        self.assertEqual(repr(rows), "[{'a': 0, '$': None}]")

    def test_no_tag_reaches_what_it_does_not_name(self) -> None:
        for fields in (
            ["os", "system", {}],
            ["builtins", "object", {"__class__": 1}],
            [__name__, "Point", {"__class__": 1}],
            [__name__, "Point.__init__", {}],
        ):
            with self.assertRaises(ConversionError):
                decoded({"$": ["object", "dataclass", fields]})
        with self.assertRaises(ConversionError):
            decoded({"$": ["object", "enum", [__name__, "Point", "x", 1]]})
        with self.assertRaises(ConversionError):
            decoded({"$": ["object", "converted", ["os.system", ["true"], {}]]})

    def test_broken_tags_give_a_typed_error_or_a_value(self) -> None:
        seed = int(os.environ.get("BEEP_TEST_SEED", random.randrange(2**31)))
        rng = random.Random(seed)
        names = sorted(tag for tag in values.decode.__globals__["_TAGS"])
        pool: list = [
            None,
            True,
            -1,
            0,
            1,
            10**9,
            0.5,
            "",
            "nan",
            "ff",
            "2024-01-01",
            "<f8",
            [],
            {},
            [1, 2],
            "Zürich",
        ]

        def collect(value: Any) -> None:
            pool.append(value)
            for item in (
                value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
            ):
                collect(item)

        for vector in read_golden("values.json")["values"]:
            collect(vector["tagged"])

        def tag() -> dict:
            return {"$": [rng.choice(names), *[anything() for _ in range(rng.randrange(5))]]}

        def anything() -> Any:
            return rng.choice(pool) if rng.random() < 0.7 else tag()

        parts = [b"abc", bytes(16), b"\xed\xa0\x80"]
        refused = 0
        for run in range(20_000):
            text = json.dumps(tag())
            try:
                values.decode(json.loads(text), parts, Context())
            except HostError:
                refused += 1
            except Exception as error:
                self.fail(f"seed {seed}, run {run}, {text}: {error!r}")
        self.assertGreater(refused, 1000)


class Plain(unittest.TestCase):
    def test_the_dialect_of_the_original(self) -> None:
        shared = [1]
        value = {
            "a": (1, 2.5, float("nan"), float("-inf")),
            "b": b"\x00\xff",
            1: 2**60,
            None: [shared, shared],
            "s": {3},
            "o": object(),
        }
        self.assertEqual(
            values.plain(value, Context()),
            {
                "a": [1, 2.5, "NaN", "-Infinity"],
                "b": "AP8=",
                "1": "1152921504606846976",
                "null": [[1], [1]],
                "s": [3],
                "o": {"isHandle": True, "handleId": "handle_1", "typeName": "object"},
            },
        )

    def test_cycles_and_depth_end_in_handles(self) -> None:
        cycle: list = []
        cycle.append(cycle)
        self.assertEqual(values.plain(cycle, Context())[0]["typeName"], "list")
        deep: list = []
        for _ in range(10_000):
            deep = [deep]
        self.assertIn('"isHandle": true', json.dumps(values.plain(deep, Context())))

    def test_whatever_comes_out_is_json(self) -> None:
        self.assertTrue(values.plain({1: "a", "1": "b"}, Context())["isHandle"])
        for value in (10**5000, {10**5000: 1}, {(1,): 2}, {True: 1, 1.5: 2}, Colour.RED, "\ud800"):
            json.dumps(values.plain(value, Context()), allow_nan=False)


class Floats(unittest.TestCase):
    def floats(self, value: object) -> list:
        from array import array

        (count,), data = values.floats(value)
        made = array("f", bytes(data)).tolist()
        self.assertEqual(len(made), count)
        return made

    def rows(self, value: object) -> list:
        from array import array

        (rows, columns), data = values.floats2d(value)
        flat = array("f", bytes(data)).tolist()
        self.assertEqual(len(flat), rows * columns)
        return [flat[row * columns : (row + 1) * columns] for row in range(rows)]

    def test_anything_array_like_is_flattened(self) -> None:
        from array import array

        for value, expected in [
            ([1, 2.5], [1, 2.5]),
            ([[1, 2], (3, 4)], [1, 2, 3, 4]),
            ([[[1], [2]], [[3], [4]]], [1, 2, 3, 4]),
            ([[], []], []),
            ((1,), [1]),
            (3, [3]),
            ([], []),
            (range(3), [0, 1, 2]),
            ((n / 2 for n in range(3)), [0, 0.5, 1]),
            (array("d", [1.5]), [1.5]),
            (memoryview(array("i", [7, 8])), [7, 8]),
            (memoryview(bytes([1, 2, 3, 4])).cast("B", [2, 2]), [1, 2, 3, 4]),
            ([True, False], [1, 0]),
            ([float("inf"), 1e300], [float("inf"), float("inf")]),
        ]:
            self.assertEqual(self.floats(value), expected)

    def test_rows_keep_their_shape(self) -> None:
        for value, expected in [
            ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
            (((1,), (2,), (3,)), [[1], [2], [3]]),
            ([1, 2], [[1, 2]]),
            ([[]], [[]]),
            (memoryview(bytes([1, 2, 3, 4])).cast("B", [2, 2]), [[1, 2], [3, 4]]),
        ]:
            self.assertEqual(self.rows(value), expected)

    def test_what_is_not_numbers_is_refused(self) -> None:
        for value in ([[1], [2, 3]], [[1], 2], [1, [2]], [[], [1]], [[[1]], [2]]):
            with self.assertRaises(ConversionError):
                values.floats(value)
        for value in ("text", b"bytes", {"a": 1}, [None], ["x"], [1j], object()):
            with self.assertRaises(ConversionError):
                values.floats(value)
            with self.assertRaises(ConversionError):
                values.floats2d(value)
        for value in ([[1], [2, 3]], [[[1]]], 5):
            with self.assertRaises(ConversionError):
                values.floats2d(value)
        cycle: list = []
        cycle.append(cycle)
        with self.assertRaises(ConversionError):
            values.floats(cycle)


if __name__ == "__main__":
    unittest.main()
