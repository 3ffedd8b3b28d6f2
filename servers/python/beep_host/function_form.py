"""A module's statements as the body of a function whose parameters are the locals (`evaluation.py` draws it)."""

from __future__ import annotations

import ast

# The name under which the function takes, before its locals, what `from m import *` becomes a call of.
_STAR_HELPER = "__beep_import_star__"


def helper(name: str, namespace: dict) -> object:
    """What a program takes under this name before its locals."""
    if name == _STAR_HELPER:
        return _star_into(namespace)
    from beep_host.text_calls import TEXT_HELPER, text_helper

    if name == TEXT_HELPER:
        return text_helper(namespace)
    from beep_host.class_bodies import class_name

    return class_name


def _star_into(namespace: dict) -> object:
    """`from module import *` into a namespace: a function may not say it, so the function form calls this."""

    def import_star(module: str, level: int) -> None:
        exec(f"from {'.' * level}{module} import *", namespace)

    return import_star


class FunctionForm:
    """Makes a module's statements fit for a function, and collects the names that they assign.

    Four things that a function refuses are rewritten: annotated assignments of names that become global, `import *`,
    `__future__` imports (moved by the caller) and a top-level `global` of a name that is a parameter.
    """

    def __init__(self, names: tuple) -> None:
        self.names = frozenset(names)
        self.assigned: set[str] = set()
        self.helpers: set[str] = set()

    def statement(self, node: object) -> object:
        """A statement of the module as the function may have it; `assigned` and `helpers` gain what it needs."""
        node = self.visit(node)
        # Most code has no class, and does without the module.
        if any([type(inner) is ast.ClassDef for inner in ast.walk(node)]):
            from beep_host.class_bodies import CLASS_HELPER, see_locals

            if see_locals(node, self.names):
                self.helpers.add(CLASS_HELPER)
        return node

    def visit(self, node: object) -> object:
        """The statement as a function may have it; `self.assigned` gains its names."""
        kind = type(node)
        if kind is ast.Global:
            self.assigned.update(node.names)
            return ast.copy_location(ast.Pass(), node)
        if kind is ast.ImportFrom and any(alias.name == "*" for alias in node.names):
            self.helpers.add(_STAR_HELPER)
            call = ast.Call(
                ast.Name(_STAR_HELPER, ast.Load()),
                [ast.Constant(node.module or ""), ast.Constant(node.level or 0)],
                [],
            )
            return ast.fix_missing_locations(ast.copy_location(ast.Expr(call), node))
        if kind is ast.AnnAssign and type(node.target) is ast.Name:
            self.assigned.add(node.target.id)
            if node.value is None:
                return ast.copy_location(ast.Pass(), node)
            self._expression(node.value)
            return ast.copy_location(ast.Assign([node.target], node.value, None), node)
        self._own_names(node)
        if kind in (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef):
            self._expression_parts_of_definition(node)
            return node
        for field, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], (ast.stmt, ast.ExceptHandler)):
                setattr(node, field, [self.visit(item) for item in value])
            elif isinstance(value, list) and value and type(value[0]).__name__ == "match_case":
                for case in value:
                    self._expression(case.pattern)
                    if case.guard is not None:
                        self._expression(case.guard)
                    case.body = [self.visit(item) for item in case.body]
            elif isinstance(value, ast.AST):
                self._expression(value)
            elif isinstance(value, list):
                for item in value:
                    if isinstance(item, ast.AST):
                        self._expression(item)
        return node

    def _own_names(self, node: object) -> None:
        kind = type(node)
        if kind in (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef):
            self.assigned.add(node.name)
        elif kind in (ast.Import, ast.ImportFrom):
            self.assigned.update(alias.asname or alias.name.split(".")[0] for alias in node.names)
        elif kind is ast.ExceptHandler and node.name:
            self.assigned.add(node.name)

    def _expression_parts_of_definition(self, node: object) -> None:
        """What of a definition is evaluated in the scope around it: decorators, defaults, bases, annotations."""
        parts = [*node.decorator_list]
        if type(node) is ast.ClassDef:
            parts += [*node.bases, *node.keywords]
        else:
            parts += [node.args, node.returns]
        for part in parts:
            if part is not None:
                self._expression(part)

    def _expression(self, node: object) -> None:
        """Collects the names that an expression or pattern binds in the scope around it."""
        kind = type(node)
        if kind is ast.Name:
            if type(node.ctx) is not ast.Load:
                self.assigned.add(node.id)
            return
        if kind is ast.Lambda:
            self._expression(node.args)
            return
        if kind.__name__ in ("MatchAs", "MatchStar") and node.name:
            self.assigned.add(node.name)
        elif kind.__name__ == "MatchMapping" and node.rest:
            self.assigned.add(node.rest)
        if kind is ast.comprehension:
            # A comprehension's own targets stay inside it; only `:=` reaches out.
            for part in (node.iter, *node.ifs):
                self._expression(part)
            return
        for child in ast.iter_child_nodes(node):
            self._expression(child)
