"""What `evaluate` means: source text to compiled code, and compiled code run in a session's namespace.

Code without locals is a module body and, when its last statement is an expression, that expression:

    x = 3          exec(body, namespace)
    x + 1          eval(tail, namespace)        -> the value

Code with locals becomes the body of a function whose parameters are the locals and which declares every other name
that it assigns `global`. So locals are seen everywhere in the code (comprehensions, inner functions, class bodies),
belong to this one call, stay alive in functions defined by it, and all other names persist in the namespace:

    def <module>(a, b):          # locals
        global x, y              # all other assigned names
        <body>
        return <tail>
"""

from __future__ import annotations

import _ast
import sys
from _collections import OrderedDict
from itertools import count

from beep_host.after_import import AfterImport
from beep_host.errors import ArgumentError

# ast.PyCF_ALLOW_TOP_LEVEL_AWAIT and inspect.CO_COROUTINE; both modules are too slow to import for a number.
_ALLOW_AWAIT = 0x2000
_ONLY_AST = 0x0400
_CO_COROUTINE = 0x80

_MAX_CACHED = 512
_MAX_CACHED_SOURCE = 64 * 1024
_MAX_SOURCES = 4096

_FunctionType = type(lambda: None)
_CodeType = type(_FunctionType.__code__.__get__(lambda: None))

_next_number = count(1).__next__
# Both lose their oldest entry when they are full. A plain dict would look past all its lost ones to find it.
_cache: OrderedDict = OrderedDict()
_sources: OrderedDict = OrderedDict()


class Program:
    """Compiled code. `is_async` says whether running it gives a coroutine that must run on the event loop."""

    __slots__ = ("body", "function", "helpers", "is_async", "names", "tail")

    def __init__(self) -> None:
        self.body: object | None = None
        self.tail: object | None = None
        self.function: object | None = None
        self.names: tuple = ()
        # What the function takes before its locals, by name.
        self.helpers: list = []
        self.is_async = False


def compile_program(source: str, names: tuple = ()) -> Program:
    """The program of a source text that is run with locals of these names; cached by content."""
    key = (source, names) if names else source
    program = _cache.get(key)
    if program is None:
        program = _compile(source, names)
        if len(source) <= _MAX_CACHED_SOURCE:
            if len(_cache) >= _MAX_CACHED:
                # First in, first out: a hit then costs one look-up and no bookkeeping.
                _drop_oldest(_cache)
            _cache[key] = program
    return program


def run_program(program: Program, namespace: dict, values: object = ()) -> object:
    """Runs a program on this thread. An async one gives its coroutine, which has not begun to run."""
    function = program.function
    if function is not None:
        helpers = ()
        if program.helpers:
            from beep_host.function_form import helper

            helpers = [helper(name, namespace) for name in program.helpers]
        return _FunctionType(function, namespace)(*helpers, *values)
    if program.is_async:
        return _run_async(program, namespace)
    body = program.body
    if body is not None:
        exec(body, namespace)
    tail = program.tail
    return eval(tail, namespace) if tail is not None else None


async def _run_async(program: Program, namespace: dict) -> object:
    if program.body is not None:
        pending = eval(program.body, namespace)
        if program.body.co_flags & _CO_COROUTINE:
            await pending
    if program.tail is None:
        return None
    value = eval(program.tail, namespace)
    if program.tail.co_flags & _CO_COROUTINE:
        value = await value
    return value


# What a source begins with when its first real line may be indented.
_MAYBE_INDENTED = ("", " ", "\t", "\n", "\r")


def dedent(source: str) -> str:
    """Removes the leading white space that all lines share; lines of white space alone do not count."""
    if source[:1] not in _MAYBE_INDENTED:
        return source
    margin: str | None = None
    lines = source.split("\n")
    for line in lines:
        content = line.lstrip(" \t")
        if not content or content == "\r":
            continue
        indent = line[: len(line) - len(content)]
        if margin is None:
            margin = indent
        else:
            while not indent.startswith(margin):
                margin = margin[:-1]
        if not margin:
            return source
    if not margin:
        return source
    cut = len(margin)
    return "\n".join(line[cut:] if line.startswith(margin) else line.lstrip(" \t") for line in lines)


def _compile(source: str, names: tuple) -> Program:
    text = dedent(source)
    filename = f"<evaluate {_next_number()}>"
    _remember_source(filename, text)
    program = Program()
    if not names and "\n" not in text:
        try:
            program.tail = compile(text, filename, "eval", _ALLOW_AWAIT, True)
        except SyntaxError:
            # Not an expression; the full form below finds out what it is and reports what is wrong.
            pass
        else:
            program.is_async = bool(program.tail.co_flags & _CO_COROUTINE)
            return program
    tree = compile(text, filename, "exec", _ALLOW_AWAIT | _ONLY_AST, True)
    if names:
        _compile_function(program, tree, text, filename, names)
    else:
        _compile_module(program, tree, filename)
    return program


def _compile_module(program: Program, tree: object, filename: str) -> None:
    statements = tree.body
    if statements and type(statements[-1]) is _ast.Expr:
        tail = _ast.Expression(statements.pop().value)
        flags = _ALLOW_AWAIT | _future_flags(statements)
        program.tail = compile(tail, filename, "eval", flags, True)
    if statements:
        program.body = compile(tree, filename, "exec", _ALLOW_AWAIT, True)
    program.is_async = any(
        code is not None and code.co_flags & _CO_COROUTINE for code in (program.body, program.tail)
    )


def _future_flags(statements: list) -> int:
    import __future__

    flags = 0
    for statement in statements:
        if type(statement) is _ast.ImportFrom and statement.module == "__future__":
            for alias in statement.names:
                flags |= getattr(__future__, alias.name).compiler_flag
    return flags


def _compile_function(program: Program, tree: object, text: str, filename: str, names: tuple) -> None:
    # First as a module, so that what a module refuses (`return`, `yield`, a late __future__) is refused here too.
    module = compile(text, filename, "exec", _ALLOW_AWAIT, True)
    import ast

    from beep_host.function_form import FunctionForm

    for name in names:
        if type(name) is not str or not name.isidentifier():
            raise ArgumentError(f'Cannot pass local "{name!s:.80}": it is not a Python identifier')
    if not all([name.isascii() for name in names]):
        names = _normalized(names)
    statements = tree.body
    futures = [s for s in statements if type(s) is ast.ImportFrom and s.module == "__future__"]
    # A docstring stays first in a module; here it would only keep a __future__ import from its place.
    rewriter = FunctionForm(names)
    body = [rewriter.statement(s) for s in statements if s not in futures]
    if any([name in text for name in ("exec", "eval")]):
        from beep_host.text_calls import TEXT_HELPER, hand_over_names

        rewritten = hand_over_names(body, names, rewriter.assigned)
        if rewritten is not body:
            rewriter.helpers.add(TEXT_HELPER)
            body = rewritten
    program.helpers = sorted(rewriter.helpers)
    if body and type(body[-1]) is ast.Expr:
        body[-1] = ast.copy_location(ast.Return(body[-1].value), body[-1])
    assigned = sorted(rewriter.assigned - set(names))
    if assigned:
        body.insert(0, ast.Global(assigned))
    parameters = [ast.arg(name) for name in (*program.helpers, *names)]
    is_async = bool(module.co_flags & _CO_COROUTINE)
    definition = (ast.AsyncFunctionDef if is_async else ast.FunctionDef)(
        name="__beep_call__",
        args=ast.arguments(
            posonlyargs=[], args=parameters, vararg=None, kwonlyargs=[], kw_defaults=[], kwarg=None, defaults=[]
        ),
        body=body or [ast.Pass()],
        decorator_list=[],
        returns=None,
        type_comment=None,
        **({"type_params": []} if hasattr(ast, "TypeAlias") else {}),
    )
    form = ast.fix_missing_locations(ast.Module(body=[*futures, definition], type_ignores=[]))
    outer = compile(form, filename, "exec", 0, True)
    code = next(c for c in outer.co_consts if type(c) is _CodeType)
    replaced = {"co_name": "<module>", "co_qualname": "<module>"} if hasattr(code, "co_qualname") else {
        "co_name": "<module>"
    }
    program.function = code.replace(**replaced)
    program.names = names
    program.is_async = is_async


def _normalized(names: tuple) -> tuple:
    """Names as Python reads them in code: `µ` is typed in two ways, and is one name."""
    from unicodedata import normalize

    made = tuple([normalize("NFKC", name) for name in names])
    if len(set(made)) < len(made):
        raise ArgumentError("Cannot pass locals: two of their names are the same in Python")
    return made


def _remember_source(filename: str, text: str) -> None:
    if len(_sources) >= _MAX_SOURCES:
        oldest = _drop_oldest(_sources)
        linecache = _loaded_linecache()
        if linecache is not None:
            linecache.cache.pop(oldest, None)
    _sources[filename] = text
    linecache = _loaded_linecache()
    if linecache is not None:
        _enter(linecache, filename, text)


def _drop_oldest(entries: OrderedDict) -> object:
    try:
        return entries.popitem(False)[0]
    except KeyError:
        # Another thread has just emptied it.
        return None


def _enter(linecache: object, filename: str, text: str) -> None:
    # No modification time: `linecache.checkcache` then leaves the entry alone.
    linecache.cache[filename] = (len(text), None, [line + "\n" for line in text.split("\n")], filename)


def _loaded_linecache() -> object | None:
    module = sys.modules.get("linecache")
    return module if module is not None and hasattr(module, "cache") else None


def give_sources_to_linecache() -> None:
    """Has the evaluated sources in `linecache`, and their classes known to `inspect`, from the moment when somebody first
    imports it.

    Importing it at start would cost every server several milliseconds for the sake of tracebacks and
    `inspect.getsource`, which many never ask for.
    """
    AfterImport("linecache", _enter_all).install()
    give_classes_to_inspect()


def _enter_all(linecache: object) -> None:
    for filename, text in list(_sources.items()):
        _enter(linecache, filename, text)


def give_classes_to_inspect() -> None:
    """Has `inspect` find the sources of classes that evaluated code defines."""
    inspect = sys.modules.get("inspect")
    if inspect is None:
        AfterImport("inspect", _find_classes).install()
    else:
        _find_classes(inspect)


def _find_classes(inspect: object) -> None:
    from beep_host.class_sources import extend_inspect

    extend_inspect(inspect, _sources)
