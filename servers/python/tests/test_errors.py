"""Exceptions as data: complete for honest ones, guarded and bounded for hostile ones."""

from __future__ import annotations

import json
import sys
import unittest

from beep_host.errors import (
    MAX_CHAIN,
    MAX_FRAMES,
    MAX_MESSAGE,
    ConversionError,
    LimitError,
    describe,
    error_payload,
    guarded_repr,
)


def caught(function: object) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


class Describe(unittest.TestCase):
    def test_type_module_message_arguments_and_frames(self) -> None:
        def fail() -> None:
            raise ValueError("no", 1, 2.5, None, {"a": 1})

        described = describe(caught(fail))
        self.assertEqual((described["type"], described["module"]), ("ValueError", "builtins"))
        self.assertEqual(described["bases"][:2], ["builtins.ValueError", "builtins.Exception"])
        self.assertEqual(described["arguments"], ["no", 1, 2.5, None, "{'a': 1}"])
        frame = described["frames"][-1]
        self.assertEqual(frame["source"], 'raise ValueError("no", 1, 2.5, None, {"a": 1})')
        self.assertTrue(frame["name"].endswith("fail"))
        self.assertIn("Traceback (most recent call last):", described["traceback"])
        json.dumps(described, allow_nan=False)

    def test_cause_and_context(self) -> None:
        def with_cause() -> None:
            try:
                raise KeyError("inner")
            except KeyError as error:
                raise ValueError("outer") from error

        def with_context() -> None:
            try:
                raise KeyError("inner")
            except KeyError:
                raise ValueError("outer")

        def suppressed() -> None:
            try:
                raise KeyError("inner")
            except KeyError:
                raise ValueError("outer") from None

        self.assertEqual(describe(caught(with_cause))["cause"]["type"], "KeyError")
        self.assertIn("direct cause", describe(caught(with_cause))["traceback"])
        self.assertEqual(describe(caught(with_context))["context"]["type"], "KeyError")
        self.assertIn("During handling", describe(caught(with_context))["traceback"])
        self.assertFalse({"cause", "context"} & set(describe(caught(suppressed))))

    def test_syntax_error_has_line_and_caret(self) -> None:
        described = describe(caught(lambda: compile("x = 1\ny = = 2", "<code>", "exec")))
        self.assertEqual(described["syntax"], {"line": 2, "column": 5, "text": "y = = 2"})
        lines = described["traceback"].split("\n")
        caret = next(number for number, line in enumerate(lines) if line.strip() == "^")
        self.assertEqual(lines[caret].index("^") - lines[caret - 1].index("y"), 4)

    @unittest.skipIf(sys.version_info < (3, 11), "notes and groups came with Python 3.11")
    def test_notes_and_groups(self) -> None:
        group = ExceptionGroup("several", [ValueError("a"), TypeError("b")])  # noqa: F821
        group.add_note("a note")
        described = describe(group)
        self.assertEqual(described["notes"], ["a note"])
        self.assertEqual([member["type"] for member in described["exceptions"]], ["ValueError", "TypeError"])
        self.assertIn("  | ValueError: a", described["traceback"])

    def test_hostile_exceptions_are_described(self) -> None:
        class Lying(type):
            def __getattribute__(cls, name: str) -> object:
                raise RuntimeError

        class Hostile(ValueError, metaclass=Lying):
            __class__ = int

            def __str__(self) -> str:
                raise SystemExit

            def __repr__(self) -> str:
                raise KeyboardInterrupt

            def __getattribute__(self, name: str) -> object:
                raise MemoryError

        class Argument:
            def __repr__(self) -> str:
                raise RecursionError

        described = describe(caught(lambda: (_ for _ in ()).throw(Hostile(Argument()))))
        self.assertIn("Hostile", described["type"])
        self.assertIn("str() raised SystemExit", described["message"])
        self.assertIn("repr raised RecursionError", described["arguments"][0])

    def test_long_things_are_bounded(self) -> None:
        chain: BaseException | None = None
        for number in range(1000):
            link = ValueError(number)
            link.__cause__ = chain
            chain = link
        described, depth = describe(chain), 0
        while "cause" in described:
            described, depth = described["cause"], depth + 1
        self.assertEqual(depth, MAX_CHAIN)
        self.assertLess(len(describe(ValueError("x" * 10_000_000))["message"]), MAX_MESSAGE + 100)

        def deep(levels: int) -> None:
            if levels == 0:
                raise ValueError
            deep(levels - 1)

        self.assertEqual(len(describe(caught(lambda: deep(500)))["frames"]), MAX_FRAMES)
        self.assertLess(len(guarded_repr([1] * 1_000_000)), 10_000)

    def test_cycles_end(self) -> None:
        first, second = ValueError("a"), ValueError("b")
        first.__cause__, second.__cause__ = second, first
        self.assertNotIn("cause", describe(first)["cause"])

    def test_own_errors_travel_by_code(self) -> None:
        self.assertEqual(error_payload(LimitError("m", hint="h")), {"code": "limit", "message": "m", "hint": "h"})
        self.assertEqual(error_payload(ConversionError("m", "$.a"))["path"], "$.a")
        self.assertEqual(error_payload(ValueError("m"))["code"], "python")
