"""Checks the Python sources below the given directory, with nothing but the standard library.

Run by the oldest CPython at hand, so that newer syntax is found. For each file: it compiles without a
warning, every function says what it takes and gives, and what is imported on loading belongs to the
standard library or to the file's own package.
"""

from __future__ import annotations

import ast
import pathlib
import sys
import sysconfig
import warnings
from typing import Iterator, List, Union

OWN_PACKAGES = {"beep_host", "tests"}

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


def main(root: pathlib.Path) -> int:
    """Prints what is wrong and gives the exit code."""
    problems: List[str] = []
    for path in sorted(root.rglob("*.py")):
        for line, problem in check(path):
            problems.append(f"{path}:{line}: {problem}")
    print("\n".join(problems))
    return 1 if problems else 0


def check(path: pathlib.Path) -> "Iterator[tuple[int, str]]":
    """Gives the line and the text of each problem of a file."""
    source = path.read_text("utf-8")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = ast.parse(source, str(path))
            compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        yield error.lineno or 0, f"does not compile: {error.msg}"
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            missing = unannotated(node)
            if missing:
                yield node.lineno, f"{node.name}: no annotation for {', '.join(missing)}"
    for statement in imported_on_loading(tree):
        for name in top_level_names(statement):
            if name not in OWN_PACKAGES and not is_standard(name):
                yield statement.lineno, f"imports {name}, which is not in the standard library"


def unannotated(function: Function) -> List[str]:
    """The parameters without an annotation, and `return`."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    missing = [one.arg for one in named if one.annotation is None and one.arg not in ("self", "cls")]
    return missing if function.returns is not None else [*missing, "return"]


def imported_on_loading(node: ast.AST) -> "Iterator[Union[ast.Import, ast.ImportFrom]]":
    """Imports that run when the module is loaded and must not fail: not in functions, not in `try`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Try)):
            yield from imported_on_loading(child)


def top_level_names(statement: "Union[ast.Import, ast.ImportFrom]") -> List[str]:
    """The packages that an import statement names; none for one that is relative."""
    if isinstance(statement, ast.Import):
        return [alias.name.split(".")[0] for alias in statement.names]
    return [] if statement.level else [(statement.module or "").split(".")[0]]


def is_standard(name: str) -> bool:
    """Whether a module belongs to the standard library; `sys.stdlib_module_names` came with 3.10."""
    known = getattr(sys, "stdlib_module_names", None)
    if known is not None:
        return name in known
    import importlib.util

    if name in sys.builtin_module_names:
        return True
    spec = importlib.util.find_spec(name)
    origin = "" if spec is None else spec.origin or ""
    return origin == "frozen" or (
        "site-packages" not in origin and origin.startswith(sysconfig.get_path("stdlib"))
    )


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
