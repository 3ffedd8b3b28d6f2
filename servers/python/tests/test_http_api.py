"""The commands of the original's clients over HTTP, in the request shapes that those clients send (chunked
bodies, nulls left out, `returnType` added), and the values that their own servers could not carry."""

from __future__ import annotations

import json
import math
import unittest

from tests.http_support import Connection, HttpTestCase, run_together


class Commands(HttpTestCase):
    def handle(self, expression: str) -> str:
        answer = self.command("eval", {"expression": expression, "returnType": "Object"}).json()
        self.assertIs(answer["isHandle"], True, answer)
        return answer["handleId"]

    def ok(self, name: str, payload: dict, expected: object) -> None:
        response = self.command(name, payload)
        self.assertEqual((response.status, response.json()), (200, expected))
        self.assertEqual(response.headers["content-type"], "application/json")

    def test_every_route_in_the_clients_shape(self) -> None:
        module = self.command("import", {"moduleName": "datetime"}).json()
        self.assertEqual(set(module), {"handleId"})
        self.assertRegex(module["handleId"], r"\Ahandle_[0-9]+\Z")
        made = self.command(
            "create",
            {
                "moduleHandleId": module["handleId"],
                "className": "timedelta",
                "args": [1],
                "kwargs": {"hours": 2},
            },
        ).json()
        self.assertEqual((set(made), made["typeName"]), ({"handleId", "typeName"}, "timedelta"))
        handle = made["handleId"]
        self.ok(
            "call",
            {"handleId": handle, "methodName": "total_seconds", "returnType": "Double"},
            {"value": 93600.0},
        )
        self.ok("getattr", {"handleId": handle, "attributeName": "days", "returnType": "Int32"}, {"value": 1})
        named = self.command(
            "create", {"moduleName": "types", "className": "SimpleNamespace", "kwargs": {"a": [1, 2]}}
        ).json()
        self.ok(
            "setattr",
            {"handleId": named["handleId"], "attributeName": "b", "value": {"c": None}},
            {"success": True},
        )
        self.ok("getattr", {"handleId": named["handleId"], "attributeName": "b"}, {"value": {"c": None}})
        # .NET leaves out what is null.
        self.ok("setattr", {"handleId": named["handleId"], "attributeName": "b"}, {"success": True})
        self.ok("getattr", {"handleId": named["handleId"], "attributeName": "b"}, {"value": None})
        self.ok("eval", {"expression": "x + 1", "locals": {"x": 41}, "returnType": "Int64"}, {"value": 42})
        wrapped = self.command("wrap", {"value": [1.5, 2, 3]}).json()
        self.assertEqual(wrapped["typeName"], "list")
        self.ok("tofloatarray", {"handleId": wrapped["handleId"]}, [1.5, 2.0, 3.0])
        rows = self.command("wrap", {"value": [[1, 2], [3, 4], [5, 6]]}).json()
        self.ok("tofloatarray2d", {"handleId": rows["handleId"]}, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        self.ok("module-available", {"moduleName": "json"}, {"available": True})
        self.ok("module-available", {"moduleName": "no_such_module"}, {"available": False})
        self.ok("dispose", {"handleId": handle}, {"success": True})
        self.ok("dispose", {"handleId": handle}, {"success": True})
        self.ok("dispose", {"handleId": "handle_99999999"}, {"success": True})

    def test_null_means_absent(self) -> None:
        nulls = {"args": None, "kwargs": None, "locals": None, "returnType": None, "moduleHandleId": None}
        self.ok("eval", {"expression": "1", **nulls}, {"value": 1})
        made = self.command("create", {"moduleName": "collections", "className": "Counter", **nulls}).json()
        self.ok("call", {"handleId": made["handleId"], "methodName": "most_common", **nulls}, {"value": []})

    def test_falsy_objects_are_objects(self) -> None:
        for expression in (
            "__import__('collections').OrderedDict()",
            "type('Empty', (), {'__len__': lambda self: 0})()",
            "type('No', (), {'__bool__': lambda self: False})()",
        ):
            answer = self.command("eval", {"expression": expression}).json()
            if "value" in answer:  # an ordered dict without attributes is plain data
                answer = self.command(
                    "create", {"moduleName": "collections", "className": "OrderedDict"}
                ).json()
            self.assertEqual(
                self.command("getattr", {"handleId": answer["handleId"], "attributeName": "__doc__"}).status,
                200,
            )
        for value, type_name in (
            ([], "list"),
            (0, "int"),
            ("", "str"),
            ({}, "dict"),
            (False, "bool"),
            (None, "NoneType"),
        ):
            wrapped = self.command("wrap", {"value": value}).json()
            self.assertEqual(wrapped["typeName"], type_name)
            self.ok(
                "call", {"handleId": wrapped["handleId"], "methodName": "__repr__"}, {"value": repr(value)}
            )

    def test_objects_without_a_truth_value(self) -> None:
        # What a numpy array of more than one element does; every operation of the original's servers failed
        # on it.
        self.command(
            "eval",
            {
                "expression": (
                    "import array\n"
                    "class Vector(array.array):\n"
                    "    def __bool__(self): raise ValueError('truth value is ambiguous')\n"
                    "    def __eq__(self, other): raise ValueError('truth value is ambiguous')\n"
                    "    __hash__ = None\n"
                )
            },
        )
        handle = self.handle("Vector('d', [1, 2, 3, 4])")
        self.ok("tofloatarray", {"handleId": handle}, [1.0, 2.0, 3.0, 4.0])
        self.ok("call", {"handleId": handle, "methodName": "__len__"}, {"value": 4})

    def test_numpy(self) -> None:
        try:
            import numpy  # noqa: F401
        except ImportError:
            self.skipTest("numpy is not installed here")
        handle = (
            self.command("wrap", {"value": 1}).json()
            and self.command(
                "call",
                {
                    "handleId": self.command("import", {"moduleName": "numpy"}).json()["handleId"],
                    "methodName": "arange",
                    "args": [4],
                },
            ).json()
        )
        self.assertEqual(handle["typeName"], "ndarray")
        self.ok("tofloatarray", {"handleId": handle["handleId"]}, [0.0, 1.0, 2.0, 3.0])
        self.ok("call", {"handleId": handle["handleId"], "methodName": "tolist"}, {"value": [0, 1, 2, 3]})

    def test_values(self) -> None:
        for expression, expected in (
            ("float('nan')", "NaN"),
            ("float('inf')", "Infinity"),
            ("-float('inf')", "-Infinity"),
            ("-0.0", -0.0),
            ("0.1", 0.1),
            ("2**53 - 1", 2**53 - 1),
            ("2**53", str(2**53)),
            ("-2**70", str(-(2**70))),
            ("True", True),
            ("None", None),
            ("'\\u00e9\\U0001f600\\ud800'", "é😀\ud800"),
            ("b'\\x00\\xff'", "AP8="),
            ("(1, 2)", [1, 2]),
            ("{5}", [5]),
            ("[float('nan'), {'a': b'', 'b': (2**60,)}]", ["NaN", {"a": "", "b": [str(2**60)]}]),
            ("{1: 2, None: 3}", {"1": 2, "null": 3}),
            ("x = 1\nx", 1),
            ("    y = 2\n    [y for _ in range(2)]", [2, 2]),
            ("import asyncio\nawait asyncio.sleep(0, 7)", 7),
        ):
            with self.subTest(expression=expression):
                response = self.command("eval", {"expression": expression})
                self.assertEqual(response.json(), {"value": expected})
                if expression == "-0.0":
                    self.assertEqual(math.copysign(1, response.json()["value"]), -1)
                json.loads(response.body, parse_constant=lambda name: self.fail(f"{name} is not JSON"))
        for expression, type_name in (
            ("__import__('math').sqrt", "builtin_function_or_method"),
            ("object()", "object"),
            ("1j", "complex"),
            ("(n for n in 'ab')", "generator"),
            ("range(3)", "range"),
        ):
            answer = self.command("eval", {"expression": expression}).json()
            self.assertEqual((answer["isHandle"], answer["typeName"]), (True, type_name))

    def test_a_dict_that_looks_like_a_handle_is_a_value(self) -> None:
        self.ok(
            "eval",
            {"expression": "{'isHandle': True, 'handleId': 'handle_1', 'typeName': 'x'}"},
            {"value": {"isHandle": True, "handleId": "handle_1", "typeName": "x"}},
        )

    def test_handles_as_arguments(self) -> None:
        answer = self.command("eval", {"expression": "import types; types.SimpleNamespace(a=5)"}).json()
        self.ok(
            "eval",
            {"expression": "o.a + p['$'] + q[0].a", "locals": {"o": answer, "p": {"$": 1}, "q": [answer]}},
            {"value": 11},
        )
        response = self.command(
            "eval", {"expression": "o", "locals": {"o": {"isHandle": True, "handleId": "handle_99999999"}}}
        )
        self.assertEqual((response.status, response.json()["code"]), (404, "stale-handle"))

    def test_nested_handles(self) -> None:
        (inner,) = self.command("eval", {"expression": "[object()]"}).json()["value"]
        self.assertEqual(inner["typeName"], "object")
        self.assertEqual(
            self.command("call", {"handleId": inner["handleId"], "methodName": "__hash__"}).status, 200
        )

    def test_exact(self) -> None:
        for value in (
            ["int", "100000000000000000"],
            ["float", "nan"],
            ["bytes", "AP8="],
            ["tuple", [1, "a"]],
        ):
            with self.subTest(value=value):
                response = self.command(
                    "eval", {"expression": "v", "locals": {"v": {"$": value}}}, query="?exact=1"
                )
                self.assertEqual(response.json(), {"value": {"$": value}})

    def test_errors(self) -> None:
        response = self.command("eval", {"expression": "def f():\n    raise KeyError('k')\nf()"})
        self.assertEqual(response.status, 500)
        error = response.json()
        self.assertEqual(
            (error["type"], error["error"], error["code"]), ("KeyError", "KeyError: 'k'", "python")
        )
        self.assertIn("raise KeyError('k')", error["traceback"])
        for name, payload, status in (
            ("eval", {"expression": "1 +"}, 500),
            ("eval", {}, 400),
            ("eval", {"expression": 5}, 400),
            ("eval", [], 400),
            ("eval", "x", 400),
            ("eval", {"expression": "1", "locals": []}, 400),
            ("import", {"moduleName": "no_such_module"}, 500),
            ("import", {}, 400),
            ("call", {"handleId": "handle_99999999", "methodName": "a"}, 404),
            ("call", {"handleId": "7", "methodName": "a"}, 400),
            ("call", {"handleId": "handle_-1", "methodName": "a"}, 400),
            ("call", {"handleId": "handle_1" * 20, "methodName": "a"}, 400),
            ("create", {"className": "x"}, 400),
            ("create", {"moduleName": "types", "className": "Nothing"}, 500),
            ("tofloatarray", {"handleId": self.handle("object()")}, 422),
            ("getattr", {"handleId": self.handle("object()"), "attributeName": "a"}, 500),
        ):
            with self.subTest(name=name, payload=payload):
                response = self.command(name, payload)
                self.assertEqual(response.status, status, response.body)
                self.assertTrue({"error", "type", "traceback", "code"} <= set(response.json()))
        self.ok("eval", {"expression": "1"}, {"value": 1})

    def test_exits_are_errors(self) -> None:
        for expression, kind in (
            ("raise SystemExit(3)", "SystemExit"),
            ("import sys; sys.exit()", "SystemExit"),
            ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ):
            self.assertEqual(self.command("eval", {"expression": expression}).json()["type"], kind)

    def test_errors_keep_the_connection(self) -> None:
        with self.connect() as connection:
            for body, status in (
                (b'{"expression":"1/0"}', 500),
                (b"{broken", 400),
                (b"[NaN]", 400),
                (b"\xff", 400),
                (b"", 400),
                (b'{"expression":"1"}', 200),
            ):
                self.assertEqual(
                    self.ask(connection, "/api/eval", body, "Content-Type: application/json").status,
                    status,
                    body,
                )

    def test_default_session_is_shared(self) -> None:
        self.command("eval", {"expression": "shared = 'by all'"})
        self.ok("eval", {"expression": "shared"}, {"value": "by all"})
        with self.connect() as connection:
            session = self.open_session(connection)
        response = self.command("eval", {"expression": "shared"}, f"Beep-Session: {session}")
        self.assertEqual(response.json()["type"], "NameError")
        self.assertEqual(self.command("eval", {"expression": "1"}, "Beep-Session: nobody").status, 404)

    def test_several_clients_at_once(self) -> None:
        def work(number: int) -> None:
            with Connection(self.http.port) as connection:
                for step in range(20):
                    body = json.dumps(
                        {"expression": "n * 100 + step", "locals": {"n": number, "step": step}}
                    ).encode()
                    answer = self.ask(connection, "/api/eval", body, "Content-Type: application/json")
                    self.assertEqual(answer.json(), {"value": number * 100 + step})

        run_together(12, work)

    def test_a_slow_call_does_not_delay_health(self) -> None:
        gate = self.gate()
        with self.connect() as slow, self.connect() as connection:
            body = b'{"expression":"gate.wait(60)"}'
            slow.send(self.request_bytes("/api/eval", body, "Content-Type: application/json"))
            self.wait_until(lambda: self.server.default_client.running, "the slow call runs")
            self.assertEqual(self.ask(connection, "/health", b"", method="GET").status, 200)
            gate.set()
            self.assertEqual(slow.read_response().json(), {"value": True})


if __name__ == "__main__":
    unittest.main()
