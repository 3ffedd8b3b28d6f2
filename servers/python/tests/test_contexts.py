"""Context managers with a body elsewhere, without a wire."""

from __future__ import annotations

import contextlib
import gc
import unittest
from types import SimpleNamespace

from beep_host import raised
from beep_host.contexts import Context
from beep_host.errors import JavaScriptError, describe

ERROR = {"name": "RangeError", "message": "mine", "stack": "at f", "id": 7}


def client() -> SimpleNamespace:
    return SimpleNamespace(contexts=0, invocations={}, raised={})


class ContextTest(unittest.TestCase):
    def setUp(self) -> None:
        self.log: list = []
        self.client = client()

    @contextlib.contextmanager
    def noted(self) -> object:
        try:
            yield "value"
        except BaseException as error:
            self.log.append(type(error).__name__)
            raise
        finally:
            self.log.append("out")

    def test_leaves_once(self) -> None:
        context = Context(self.client, self.noted())
        self.assertEqual((context.value, self.client.contexts), ("value", 1))
        self.assertTrue(context.leave())
        self.assertEqual((self.log, self.client.contexts), (["out"], 0))
        with self.assertRaises(RuntimeError):
            context.leave()

    def test_an_error_that_is_not_suppressed(self) -> None:
        self.assertFalse(Context(self.client, self.noted()).leave(ERROR))
        self.assertEqual(self.log, ["JavaScriptError", "out"])

    def test_an_error_that_is_suppressed(self) -> None:
        self.assertTrue(Context(self.client, contextlib.suppress(JavaScriptError)).leave(ERROR))

    def test_an_exception_comes_back_as_itself(self) -> None:
        context = Context(self.client, contextlib.suppress(KeyError))
        number = raised.keep(self.client, KeyError("k"))
        self.assertTrue(context.leave({**ERROR, "exception": number}))
        self.assertEqual(self.client.raised, {})

    def test_stop_iteration_is_not_mistaken_for_the_end(self) -> None:
        context = Context(self.client, contextlib.nullcontext())
        number = raised.keep(self.client, StopIteration())
        self.assertFalse(context.leave({**ERROR, "exception": number}))

    def test_abandoned_it_is_left(self) -> None:
        Context(self.client, self.noted())
        gc.collect()
        self.assertEqual((self.log, self.client.contexts), (["GeneratorExit", "out"], 0))


class RaisedTest(unittest.TestCase):
    def test_nothing_is_kept_when_there_is_nowhere_to_come_back_to(self) -> None:
        self.assertIsNone(raised.keep(client(), ValueError()))

    def test_few_are_kept(self) -> None:
        of = client()
        of.contexts = 1
        numbers = [raised.keep(of, ValueError(i)) for i in range(100)]
        self.assertEqual(list(of.raised), numbers[-16:])

    def test_a_javascript_error_is_told_by_its_number_and_stack(self) -> None:
        error = raised.as_exception(client(), ERROR)
        described = describe(error)
        self.assertEqual((described["javascript"], described["module"]), (7, "beep_host"))
        self.assertIn("at f", described["traceback"])


if __name__ == "__main__":
    unittest.main()
