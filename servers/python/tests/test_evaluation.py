"""What `evaluate` means, statement by statement."""

from __future__ import annotations

import asyncio
import inspect
import sys
import unittest

from beep_host import evaluation
from beep_host.errors import ArgumentError
from beep_host.evaluation import compile_program, dedent, give_classes_to_inspect, give_sources_to_linecache, run_program


class Evaluation(unittest.TestCase):
    def setUp(self) -> None:
        self.namespace: dict = {"__builtins__": __builtins__, "__name__": "evaluated"}

    def run_code(self, code: str, **local_values: object) -> object:
        program = compile_program(code, tuple(local_values))
        result = run_program(program, self.namespace, tuple(local_values.values()))
        return asyncio.run(result) if program.is_async else result

    def test_value_is_that_of_the_last_expression(self) -> None:
        self.assertEqual(self.run_code("1 + 1"), 2)
        self.assertEqual(self.run_code("x = 1\nx + 1"), 2)
        self.assertEqual(self.run_code("x = 1\nx + 1;"), 2)
        self.assertIsNone(self.run_code("x = 1"))
        for nothing in ("", "   \n ", "# a remark", "\n\n"):
            self.assertIsNone(self.run_code(nothing))

    def test_names_persist(self) -> None:
        self.run_code("import os.path as p\ndef f():\n    return q + 1\nq = 1")
        self.assertEqual(self.run_code("f()"), 2)
        self.assertIn("p", self.namespace)

    def test_locals_are_seen_everywhere(self) -> None:
        self.assertEqual(self.run_code("[a for i in range(2)]", a=3), [3, 3])
        self.assertEqual(self.run_code("class A:\n    z = q\nA.z", q=4), 4)
        self.assertEqual(self.run_code("(lambda: [v for _ in 'ab'])()", v=5), [5, 5])
        self.assertEqual(self.run_code("def f():\n    def g():\n        return w\n    return g()\nf()", w=6), 6)

    def test_class_bodies_see_locals_that_they_bind_themselves(self) -> None:
        self.namespace["n"] = "of the session"
        for body, expected in [
            ("n = n", 2),
            ("n = n; m = n; n = 3; m += n", 3),
            ("n += 1", 3),
            ("n: int = n + 1", 3),
            ("n = [n + i for i in range(n)]", [2, 3]),
            ("n = [i for i in [n]][0]", 2),
            ("n = (lambda x=n: x + n)()", 4),
            ("def n(self, k=n): return k\n    n = n(0)", 2),
            ("@(lambda f, n=n: n)\n    def n(self): pass", 2),
            ("n = 5\n    del n\n    n = n", 2),
            ("class B(type(n)): pass\n    n = B(n) + n", 4),
            ("if n:\n        n = -n", -2),
            ("import sys as n\n    n = n.__name__", "sys"),
            ("global n\n    n = n", "of the session"),
        ]:
            with self.subTest(body=body):
                value = self.run_code(f"class A:\n    {body}\nA", n=2)
                self.assertEqual(getattr(value, "n", self.namespace["n"]), expected)
        self.assertEqual(self.run_code("def f():\n    class A:\n        n = n\n    return A\nf().n", n=2), 2)
        enum = "import enum\nclass E(enum.Enum):\n    A = n\n    n = A + 1\n[e.value for e in E]"
        self.assertEqual(self.run_code(enum, n=2), [2, 3])

    def test_locals_are_all_that_locals_gives(self) -> None:
        self.assertEqual(self.run_code("locals()", a=1, b=2), {"a": 1, "b": 2})

    def test_exec_and_eval_beside_locals_have_the_names_that_a_module_would_have(self) -> None:
        for code, expected in [
            ("exec('y = a + 1'); y", 2),
            ("exec('a = 5'); a", 5),
            ("exec('a += 5'); a", 6),
            ("if a:\n    exec('y = a')\ny", 1),
            ("exec('def f(): return w\\nw = 3'); f()", 3),
            ("exec('from math import *'); floor(2.5)", 2),
            ("exec('class K: v = 4'); K.v", 4),
            ("exec('import os.path as p\\ndel p'); 'p' in globals()", False),
            ("exec(compile('y = 8', 'x', 'exec')); y", 8),
            ("eval('(z := a + 1)') + z", 4),
            ("eval('a') + eval('len')('ab')", 3),
            ("[eval('b') for b in [1, 2]]", [1, 2]),
            ("exec('q = 1', {}); 'q' in globals()", False),
            ("eval('a', {'a': 3})", 3),
            ("def exec(text): return text\nexec('mine')", "mine"),
        ]:
            with self.subTest(code=code):
                self.setUp()
                self.assertEqual(self.run_code(code, a=1), expected)
        self.setUp()
        self.assertEqual(self.run_code("(lambda: exec('inner = 1'))(); 'inner' in globals()", a=1), False)
        self.assertEqual(self.run_code("exec(a)", exec=str.upper, a="b"), "B")
        with self.assertRaises(NameError):
            self.run_code("exec('del a')", a=1)
        with self.assertRaisesRegex(NameError, "missing"):
            self.run_code("eval('missing')", a=1)
        asynchronous = "import asyncio\nawait asyncio.sleep(0)\nexec('a = 2; b = 3')\n(a, b)"
        self.assertEqual(self.run_code(asynchronous, a=1), (2, 3))

    def test_names_of_locals_are_read_as_python_reads_names(self) -> None:
        self.assertEqual(self.run_code("\u00b5 + \u03bc", **{"\u00b5": 1}), 2)
        with self.assertRaisesRegex(ArgumentError, "the same in Python"):
            self.run_code("1", **{"\u00b5": 1, "\u03bc": 2})

    def test_locals_belong_to_one_call(self) -> None:
        self.run_code("kept = a", a=1)
        self.assertEqual(self.run_code("kept"), 1)
        with self.assertRaises(NameError):
            self.run_code("a")
        self.run_code("a = 7")
        self.assertEqual(self.run_code("a = a + 1\na", a=1), 2)
        self.assertEqual(self.run_code("a"), 7)

    def test_functions_keep_the_locals_of_their_call(self) -> None:
        self.run_code("def f():\n    return q", q=9)
        self.assertEqual(self.run_code("f()"), 9)
        self.assertEqual(self.run_code("f()", q=10), 9)

    def test_every_way_to_assign_persists_beside_locals(self) -> None:
        self.run_code(
            "import os.path as p, sys\nfrom math import *\ny: int = 3\nw: int\nglobal k\nk = 1\n"
            "if (m := 5) > 3:\n    global zz\n    zz = 7\n"
            "for i in range(3):\n    pass\n"
            "with open(__import__('os').devnull) as fh:\n    pass\n"
            "try:\n    1 / 0\nexcept Exception as e:\n    err = str(e)\n"
            "[u := n for n in range(3)]\n(s, *t), o.z = (1, 2, 3), 4\n"
            "@(deco := (lambda c: c))\nclass K(base := object):\n    hidden = 1\n",
            q=0,
            o=type("O", (), {})(),
        )
        self.assertEqual(
            self.run_code("(y, k, m, zz, i, err, u, floor(2.5), s, t, K.__qualname__, base, fh.closed)"),
            (3, 1, 5, 7, 2, "division by zero", 2, 2, 1, [2, 3], "K", object, True),
        )
        for absent in ("w", "e", "n", "q", "o", "hidden"):
            self.assertNotIn(absent, self.namespace)

    @unittest.skipIf(sys.version_info < (3, 10), "match statements came with Python 3.10")
    def test_match_captures_persist(self) -> None:
        code = "match v:\n    case {'a': aa, **rest}:\n        r = aa\n    case [b, *c]:\n        r = b\n(r, b, c)"
        self.assertEqual(self.run_code(code, v=[1, 2, 3]), (1, 1, [2, 3]))
        self.assertEqual(self.run_code("(b, c)"), (1, [2, 3]))

    def test_what_a_function_refuses_works_with_locals(self) -> None:
        self.assertEqual(self.run_code("from os.path import *\nbasename(a)", a="x/y"), "y")
        code = "from __future__ import annotations\ndef g(x: Undefined): pass\ng.__annotations__"
        self.assertEqual(self.run_code(code, a=1), {"x": "Undefined"})
        self.assertEqual(self.run_code(code), {"x": "Undefined"})
        self.assertEqual(self.run_code("global a\na = 2\na", a=1), 2)
        self.assertNotIn("a", self.namespace)

    def test_what_a_module_refuses_is_refused(self) -> None:
        for bad in ("return 1", "yield 1", "nonlocal a", "a b", "break", "x = 1\nfrom __future__ import annotations"):
            for local_values in ({}, {"a": 1}):
                with self.subTest(code=bad, locals=local_values), self.assertRaises(SyntaxError):
                    self.run_code(bad, **local_values)

    def test_top_level_await(self) -> None:
        self.assertEqual(self.run_code("import asyncio\nawait asyncio.sleep(0)\na + 1", a=1), 2)
        self.assertEqual(self.run_code("await asyncio.sleep(0, 5)"), 5)
        self.assertEqual(
            self.run_code(
                "async def gen():\n    yield 1\n    yield 2\n"
                "async with asyncio.Lock():\n    r = [x async for x in gen()]\nr"
            ),
            [1, 2],
        )
        self.assertEqual(self.run_code("r"), [1, 2])

    def test_names_that_are_no_identifiers_are_refused(self) -> None:
        with self.assertRaisesRegex(ArgumentError, '"a b"'):
            self.run_code("1", **{"a b": 1})

    def test_qualified_names_are_those_of_a_module(self) -> None:
        self.run_code("class C:\n    def m(self):\n        return v\ndef f(): pass", v=1)
        self.assertEqual(self.run_code("(C.__qualname__, C.m.__qualname__, f.__qualname__)"), ("C", "C.m", "f"))

    def test_source_is_found_by_inspect(self) -> None:
        self.run_code("def h():\n    return 1\n")
        source = self.namespace["h"]
        evaluation._enter(__import__("linecache"), source.__code__.co_filename, "def h():\n    return 1\n")
        self.assertEqual(inspect.getsource(source), "def h():\n    return 1\n")

    def test_source_of_a_class_is_found_by_inspect(self) -> None:
        module = type(sys)("evaluated")
        self.addCleanup(setattr, inspect, "getfile", inspect.getfile)
        self.addCleanup(sys.modules.pop, "evaluated")
        sys.modules["evaluated"] = module
        self.namespace = module.__dict__
        linecache = __import__("linecache")
        give_classes_to_inspect()

        def source_of(name: str) -> str:
            for filename, text in list(evaluation._sources.items()):
                evaluation._enter(linecache, filename, text)
            return inspect.getsource(self.run_code(name))

        plain = "class Plain:\n    x = 1\n"
        method = "class Method:\n    def m(self):\n        return 1\n"
        nested = "class Outer:\n    class Inner:\n        y = 2\n"
        self.run_code(f"import dataclasses\n{plain}{method}{nested}@dataclasses.dataclass\nclass Data:\n    n: int\n")
        self.run_code("def make():\n    class Made:\n        z = 3\n    return Made\n")
        self.run_code("class Local:\n    w = v\n", v=1)
        self.assertEqual(source_of("Plain"), plain)
        self.assertEqual(source_of("Method"), method)
        self.assertEqual(source_of("Method.m"), "    def m(self):\n        return 1\n")
        self.assertEqual(source_of("Outer.Inner"), "    class Inner:\n        y = 2\n")
        self.assertEqual(source_of("Data"), "@dataclasses.dataclass\nclass Data:\n    n: int\n")
        self.assertEqual(source_of("make()"), "    class Made:\n        z = 3\n")
        self.assertEqual(source_of("Local"), "class Local:\n    w = v\n")
        self.run_code("class Plain:\n    x = 2\n")
        self.assertEqual(source_of("Plain"), "class Plain:\n    x = 2\n")
        for unknown in ("type('Unknown', (), {})", "int"):
            with self.assertRaises((OSError, TypeError)):
                source_of(unknown)

    def test_source_finder_fills_linecache_when_it_is_imported(self) -> None:
        self.run_code("def late():\n    return 2\n")
        saved = sys.modules.pop("linecache")
        finders = list(sys.meta_path)
        give_sources_to_linecache()
        try:
            import linecache

            line = linecache.getline(self.namespace["late"].__code__.co_filename, 2)
            # It stays, for the sake of other threads that are importing, and finds nothing any more.
            (added,) = (finder for finder in sys.meta_path if finder not in finders)
            found = added.find_spec("linecache")
        finally:
            sys.modules["linecache"] = saved
            sys.meta_path[:] = finders
        self.assertEqual(line, "    return 2\n")
        self.assertIsNone(found)

    def test_cache_is_bounded(self) -> None:
        for number in range(evaluation._MAX_CACHED + 50):
            compile_program(f"{number} + 0")
        self.assertLessEqual(len(evaluation._cache), evaluation._MAX_CACHED)

    def test_same_source_is_compiled_once(self) -> None:
        self.assertIs(compile_program("1 + 41"), compile_program("1 + 41"))
        self.assertIsNot(compile_program("1 + 41"), compile_program("1 + 41", ("a",)))


class Dedent(unittest.TestCase):
    def test_removes_the_margin_all_lines_share(self) -> None:
        for given, expected in (
            ("a\n  b", "a\n  b"),
            ("  a\n    b", "a\n  b"),
            ("\n    a\n      b\n  ", "\na\n  b\n"),
            ("\ta\n\tb", "a\nb"),
            ("  a\n\tb", "  a\n\tb"),
            ("    a\n\n    b", "a\n\nb"),
            ("  \n  a", "\na"),
            ("", ""),
            ("  ", "  "),
        ):
            with self.subTest(given=given):
                self.assertEqual(dedent(given), expected)
