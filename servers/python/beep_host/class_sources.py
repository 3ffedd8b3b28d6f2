"""Where the source of a class is that evaluated code defined, for `inspect.getsource`.

`inspect` asks the module of a class for its file, and a session's module has none: each evaluated text is a source of its own.
Functions know theirs by their code; for a class the texts are searched, once `inspect` itself has given up.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any, Iterator


def extend_inspect(inspect: Any, sources: dict) -> None:
    """Lets `inspect.getfile` answer for classes of evaluated code; `sources` has their texts by file name."""
    ask = inspect.getfile
    if ask.__module__ == __name__:
        return

    def getfile(object: Any) -> str:
        try:
            return ask(object)
        except (OSError, TypeError):
            found = _file_of(object, sources) if isinstance(object, type) else None
            if found is None:
                raise
            return found

    getfile.__doc__ = ask.__doc__
    inspect.getfile = getfile


def _file_of(kind: type, sources: dict) -> str | None:
    if hasattr(sys.modules.get(kind.__module__), "__file__"):
        return None
    names = vars(kind)
    # Its own methods know; a class that was defined again has other ones.
    for member in list(names.values()):
        code = getattr(getattr(member, "__func__", member), "__code__", None)
        if getattr(code, "co_qualname", kind.__qualname__).startswith(kind.__qualname__):
            filename = getattr(code, "co_filename", None)
            if filename in sources:
                return filename
    line = names.get("__firstlineno__")
    for filename, text in reversed(list(sources.items())):
        if f"class {kind.__name__}" in text and any(
            name == kind.__qualname__ and line in (None, number) for name, number in _classes_of(text)
        ):
            return filename
    return None


def _classes_of(text: str) -> Iterator[tuple[str, int]]:
    """The qualified names of the classes in a text, and the lines on which they begin, decorators included."""
    import ast

    try:
        waiting: list = [(ast.parse(text), "")]
    except SyntaxError:
        return  # with top-level `await`, which only evaluate takes in every version
    while waiting:
        node, prefix = waiting.pop()
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, ast.ClassDef):
                yield prefix + child.name, min([child.lineno, *[d.lineno for d in child.decorator_list]])
                inner = f"{prefix}{child.name}."
            elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                inner = f"{prefix}{child.name}.<locals>."
            waiting.append((child, inner))
