"""Completion and inspection in a namespace of their own, which run no code of the user's."""

from __future__ import annotations

import unittest
from types import SimpleNamespace

from beep_host import session_tools
from beep_host.current_call import current_call
from beep_host.errors import ArgumentError

ran: list = []


class Hostile:
    """Answers everything, by running code."""

    slot = 1

    @property
    def costly(self) -> object:
        ran.append("costly")
        return self

    @property
    def __class__(self) -> type:
        ran.append("__class__")
        return int

    def __getattr__(self, name: str) -> object:
        ran.append(name)
        return self

    def __dir__(self) -> list:
        ran.append("__dir__")
        return []

    def method(self, x: int) -> int:
        """Doubles."""
        return 2 * x


class Meta(type):
    @property
    def __dict__(cls) -> dict:
        ran.append("meta")
        return {}

    def __instancecheck__(cls, value: object) -> bool:
        ran.append("instancecheck")
        return True


class OfMeta(metaclass=Meta):
    inner = Hostile


class SessionToolsTest(unittest.TestCase):
    def setUp(self) -> None:
        ran.clear()
        self.namespace = {
            "hostile": Hostile(),
            "of_meta": OfMeta,
            "data": {"a": 1},
            "__name__": "session",
            "word": "text",
        }
        token = current_call.set(SimpleNamespace(session=SimpleNamespace(namespace=self.namespace)))
        self.addCleanup(current_call.reset, token)

    def texts(self, code: str, cursor: int | None = None) -> list:
        return [match["text"] for match in session_tools.complete(code, cursor)["matches"]]

    def test_completes_names(self) -> None:
        self.assertEqual(self.texts("host"), ["hostile"])
        self.assertEqual(self.texts("x = wor"), ["word"])
        self.assertIn("isinstance", self.texts("isin"))
        self.assertIn("while", self.texts("whi"))
        self.assertEqual(self.texts("word + 1", 2), ["word"])

    def test_completes_attributes(self) -> None:
        self.assertIn("keys", self.texts("data."))
        self.assertEqual(self.texts("word.upp"), ["upper"])
        self.assertEqual(self.texts("of_meta.inn"), ["inner"])
        # Its metaclass lies about the dictionary, so nothing of it is followed.
        self.assertEqual(self.texts("of_meta.inner.met"), [])
        self.assertNotIn("__len__", self.texts("data."))
        self.assertIn("__len__", self.texts("data.__"))

    def test_runs_no_code_of_the_users(self) -> None:
        for code in ("hostile.", "hostile.costly.", "hostile.unknown.", "hostile.method.", "of_meta.", "f(hostile)."):
            self.texts(code)
        self.assertIn("costly", self.texts("hostile."))
        self.assertEqual(self.texts("hostile.costly."), [])
        self.assertEqual(ran, [])

    def test_refuses_a_cursor_outside_of_the_code(self) -> None:
        for cursor in (-1, 2, 1.5, "1"):
            with self.subTest(cursor=cursor), self.assertRaises(ArgumentError):
                session_tools.complete("x", cursor)

    def test_inspects_what_a_module_holds_though_it_has_a_get(self) -> None:
        import types

        class Dispatcher:
            """What numpy's functions are: callables that would bind as attributes of a class."""

            def __get__(self, owner: object, kind: type | None = None) -> object:
                raise AssertionError("it was run")

        holder = types.ModuleType("holder")
        holder.linspace = dispatcher = Dispatcher()
        dispatcher.__doc__ = "Evenly spaced."
        self.namespace["holder"] = holder
        found = session_tools.inspect("holder.linspace")
        self.assertEqual(found["doc"], "Evenly spaced.")

    def test_inspects(self) -> None:
        found = session_tools.inspect("hostile.method")
        self.assertEqual((found["doc"], found["kind"]), ("Doubles.", "function"))
        self.assertTrue(found["signature"].startswith("(self, x"))
        self.assertIn("return 2 * x", found["source"])
        self.assertEqual(session_tools.inspect("word")["summary"], "'text'")
        for unknown in ("nowhere", "hostile.costly", "hostile.nowhere", "1", "a b", ""):
            self.assertIsNone(session_tools.inspect(unknown))
        with self.assertRaisesRegex(ArgumentError, "must be a string, not int"):
            session_tools.inspect(5)

    def test_lists_and_forgets_variables(self) -> None:
        self.namespace["large"] = list(range(1_000_000))
        found = {variable["name"]: variable for variable in session_tools.variables()}
        self.assertEqual(sorted(found), ["data", "hostile", "large", "of_meta", "word"])
        self.assertLess(len(found["large"]["summary"]), 300)
        session_tools.reset()
        self.assertEqual(self.namespace, {"__name__": "session"})


if __name__ == "__main__":
    unittest.main()
