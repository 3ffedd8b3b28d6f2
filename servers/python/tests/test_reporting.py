"""Progress, displays and the lazy face of the package, without a server."""

from __future__ import annotations

import io
import subprocess
import sys
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import beep_host
from beep_host.reporting import progress
from beep_host.rich_display import display, mime_bundle, split


class ProgressTest(unittest.TestCase):
    def test_takes_numbers(self) -> None:
        for arguments in [(0,), (1, 2), (0.5, 1), (3, None, "message"), (2, 2)]:
            with self.subTest(arguments=arguments):
                self.assertIsNone(progress(*arguments))

    def test_refuses_nonsense(self) -> None:
        nan, inf = float("nan"), float("inf")
        for arguments, kind, words in [
            ((nan,), ValueError, "finite number of at least 0, not nan"),
            ((inf,), ValueError, "not inf"),
            ((-1,), ValueError, "not -1"),
            ((1, nan), ValueError, "total must be a finite number"),
            ((3, 2), ValueError, "at most total, 2, not 3"),
            ((10**400,), ValueError, "finite number of at least 0, not 1000"),
            ((10**5000,), ValueError, "finite number of at least 0, not (1000|<int)"),
            ((-(10**300),), ValueError, r"at least 0, not -1000.*… \(302 characters\)"),
            ((10**300, 10**299), ValueError, "at most total"),
            (("1",), TypeError, "done must be a number, not str"),
            ((True,), TypeError, "not bool"),
            ((None,), TypeError, "not NoneType"),
            ((1, 2, 3), TypeError, "message must be a string, not int"),
        ]:
            with self.subTest(arguments=arguments):
                with self.assertRaisesRegex(kind, words):
                    progress(*arguments)


class Shape:
    def _repr_html_(self) -> str:
        return "<b>shape</b>"

    def _repr_png_(self) -> str:
        return "iVA="

    def _repr_svg_(self) -> str:
        raise RuntimeError("no svg")

    def _repr_json_(self) -> object:
        return {"a": float("nan")}

    def __repr__(self) -> str:
        return "Shape()"


class Bundle:
    def _repr_html_(self) -> str:
        return "from the method"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple:
        return {"text/html": "from the bundle", "x/unknown": object()}, {"metadata": 1}


class AnswersEverything:
    def __getattr__(self, name: str) -> object:
        return lambda *args, **kwargs: "<lie>"


class BundleTest(unittest.TestCase):
    def test_gives_the_forms_that_the_class_has(self) -> None:
        with redirect_stderr(io.StringIO()) as err:
            bundle = mime_bundle(Shape())
        self.assertEqual(bundle, {"text/html": "<b>shape</b>", "image/png": b"\x89P", "text/plain": "Shape()"})
        self.assertIn("cannot show Shape: _repr_svg_ raised RuntimeError('no svg')", err.getvalue())

    def test_gives_only_what_is_asked_for(self) -> None:
        self.assertEqual(
            mime_bundle(Shape(), ["text/html"]), {"text/html": "<b>shape</b>", "text/plain": "Shape()"}
        )

    def test_a_bundle_of_the_class_wins(self) -> None:
        self.assertEqual(mime_bundle(Bundle())["text/html"], "from the bundle")
        self.assertNotIn("x/unknown", mime_bundle(Bundle()))

    def test_a_class_and_an_object_that_answers_to_any_name_are_not_asked(self) -> None:
        for value in (Shape, AnswersEverything(), 3, {"a/b": 1, "c": 2}, {}):
            with self.subTest(value=type(value)):
                self.assertEqual(list(mime_bundle(value)), ["text/plain"])

    def test_a_dict_of_mime_types_is_a_bundle(self) -> None:
        self.assertEqual(mime_bundle({"text/markdown": "*a*"})["text/markdown"], "*a*")

    def test_splits_what_is_binary(self) -> None:
        self.assertEqual(
            split({"text/plain": "a", "image/png": b"b"}), ({"text/plain": "a"}, ["image/png"], [b"b"])
        )

    def test_display_prints_where_nobody_looks(self) -> None:
        with redirect_stdout(io.StringIO()) as out:
            display(Shape(), 3)
        self.assertEqual(out.getvalue(), "Shape()\n3\n")


class PackageTest(unittest.TestCase):
    def test_gives_its_names_when_asked(self) -> None:
        self.assertIs(beep_host.progress, progress)
        self.assertIs(beep_host.display, display)
        for name in beep_host.__all__:
            self.assertIsNotNone(getattr(beep_host, name))
            self.assertIn(name, dir(beep_host))
        with self.assertRaisesRegex(AttributeError, "has no attribute 'nowhere'"):
            _ = beep_host.nowhere

    def test_importing_it_loads_nothing_else(self) -> None:
        code = "import __future__, sys; before = set(sys.modules); import beep_host; print(sorted(set(sys.modules) - before))"
        root = str(Path(beep_host.__file__).parent.parent)
        out = subprocess.run(
            [sys.executable, "-I", "-c", f"import sys; sys.path.append({root!r}); {code}"],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
        self.assertEqual(out.decode().strip(), "['beep_host', 'beep_host.protocol']")


if __name__ == "__main__":
    unittest.main()
