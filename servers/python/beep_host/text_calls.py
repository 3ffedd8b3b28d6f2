"""`exec(text)` and `eval(text)` in code that has locals.

In a module both read and bind the module's names. In the function form (`function_form.py`) `exec("y = 1")` would bind a name
of a copy that nobody sees. So a call at the top level of the code that names no namespace of its own is handed one which is
what the code around it sees: the locals of the call first, which it can change, then the session's names.
"""

from __future__ import annotations

import ast
import builtins
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any, Callable

# The name under which the function takes the helper before its locals, and that of the function which sets a local.
TEXT_HELPER = "__beep_run_text__"
_SETTER = "__beep_set_local__"

_CALLED = ("eval", "exec")
_INNER = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Lambda,
    ast.ClassDef,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


class _Names:
    """The names that a module of this code would have."""

    def __init__(self, namespace: dict, local_values: dict, set_local: Callable[[str, object], None]) -> None:
        self._namespace = namespace
        self._locals = local_values
        self._set_local = set_local

    def __getitem__(self, name: str) -> object:
        # What is missing here is looked for among the globals, which are the session's names.
        return self._locals[name]

    def __setitem__(self, name: str, value: object) -> None:
        if name in self._locals:
            self._locals[name] = value
            self._set_local(name, value)
        else:
            self._namespace[name] = value

    def __delitem__(self, name: str) -> None:
        if name in self._locals:
            raise NameError(f"Cannot delete {name!r}: it is a local of the call")
        del self._namespace[name]

    def keys(self) -> list:
        """What makes it a mapping."""
        return [*self._namespace, *self._locals]


def text_helper(namespace: dict) -> object:
    """The helper of code that runs in `namespace`."""

    def run_text(called: str, names: tuple, set_local: Any, text: Any) -> object:
        function = namespace.get(called)
        if function is not None:
            return function(text)  # user code's own, under the same name
        seen = sys._getframe(1).f_locals
        local_values = {name: seen[name] for name in names if name in seen}
        return getattr(builtins, called)(text, namespace, _Names(namespace, local_values, set_local))

    return run_text


def hand_over_names(statements: list, names: tuple, assigned: set) -> list:
    """The statements, with their calls of `exec` and `eval` rewritten; the same ones when there are none."""
    caller = _Caller(names, set(_CALLED) - set(names) - assigned)
    made = [caller.visit(statement) for statement in statements]
    return [_setter(names), *made] if caller.found else statements


def _setter(names: tuple) -> ast.stmt:
    lines = [f"def {_SETTER}(name, value):", f"    nonlocal {', '.join(names)}"]
    for name in names:
        lines += [f"    if name == {name!r}:", f"        {name} = value"]
    return ast.parse("\n".join(lines)).body[0]


class _Caller(ast.NodeTransformer):
    """Has calls at the top level ask the helper; functions and classes have names of their own."""

    def __init__(self, names: tuple, called: set) -> None:
        self._names = names
        self._called = called
        self.found = False

    def visit(self, node: ast.AST) -> Any:
        return node if isinstance(node, _INNER) else super().visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func
        if type(function) is not ast.Name or function.id not in self._called:
            return node
        if node.keywords or len(node.args) != 1 or type(node.args[0]) is ast.Starred:
            return node
        self.found = True
        names = ast.Tuple([ast.Constant(name) for name in self._names], ast.Load())
        arguments = [ast.Constant(function.id), names, ast.Name(_SETTER, ast.Load()), node.args[0]]
        call = ast.Call(ast.Name(TEXT_HELPER, ast.Load()), arguments, [])
        return ast.fix_missing_locations(ast.copy_location(call, node))
