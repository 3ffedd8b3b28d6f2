"""Class bodies in code that has locals.

A name that a class body binds itself is looked for, before that, among the globals, never in the function around it. In
the function form (`function_form.py`) the locals live there: `class A: n = n` would not see the local `n`. So such a
reading asks a helper, which looks into the class first, as Python does, and then at the local.
"""

from __future__ import annotations

import ast
import sys

# The name under which the function takes the helper before its locals.
CLASS_HELPER = "__beep_class_name__"

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def class_name(name: str, outside: object) -> object:
    """The helper: a name as the class body that calls this sees it; `outside` gives the local."""
    namespace = sys._getframe(1).f_locals
    return namespace[name] if name in namespace else outside()


def see_locals(node: ast.AST, names: frozenset) -> bool:
    """Rewrites the class bodies in a statement; says whether there was anything to rewrite."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        names = names - _bound([*node.body, node.args])
    found = False
    if type(node) is ast.ClassDef:
        mine = names & _bound(node.body)
        if mine:
            reader = _Reader(mine)
            node.body = [made for statement in node.body for made in reader.statement(statement)]
            found = reader.found
    for child in ast.iter_child_nodes(node):
        found = see_locals(child, names) or found
    return found


def _bound(nodes: list) -> set:
    """The names that statements bind in their own scope, without those that they declare to be of another."""
    bound: set = set()
    declared: set = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            declared.update(node.names)
        elif isinstance(node, _SCOPES):
            bound.add(node.name)
            continue
        elif isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
            continue
        elif isinstance(node, ast.Name):
            if type(node.ctx) is not ast.Load:
                bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.split(".")[0])
        else:
            # Of an exception's handler and of the patterns of `match`.
            bound.update(
                name for field in ("name", "rest") for name in [getattr(node, field, None)] if type(name) is str
            )
        waiting.extend(ast.iter_child_nodes(node))
    return bound - declared


class _Reader(ast.NodeTransformer):
    """Lets readings in a class's own scope ask the helper."""

    def __init__(self, names: set) -> None:
        self._names = names
        self.found = False

    def statement(self, node: ast.stmt) -> list:
        made = self.visit(node)
        return made if type(made) is list else [made]

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if type(node.ctx) is not ast.Load or node.id not in self._names:
            return node
        self.found = True
        nothing = ast.arguments(
            posonlyargs=[], args=[], vararg=None, kwonlyargs=[], kw_defaults=[], kwarg=None, defaults=[]
        )
        outside = ast.Lambda(nothing, ast.Name(node.id, ast.Load()))
        read = ast.Call(ast.Name(CLASS_HELPER, ast.Load()), [ast.Constant(node.id), outside], [])
        return ast.fix_missing_locations(ast.copy_location(read, node))

    def visit_AugAssign(self, node: ast.AugAssign) -> object:
        node.value = self.visit(node.value)
        target = node.target
        if type(target) is not ast.Name:
            node.target = self.visit(target)
            return node
        if target.id not in self._names:
            return node
        read = self.visit_Name(ast.copy_location(ast.Name(target.id, ast.Load()), target))
        return [ast.copy_location(ast.Assign([ast.Name(target.id, ast.Store())], read, None), node), node]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        # The annotation stays as it was written: it may be kept as text.
        if node.value is not None:
            node.value = self.visit(node.value)
        if type(node.target) is not ast.Name:
            node.target = self.visit(node.target)
        return node

    def visit_FunctionDef(self, node: ast.AST) -> ast.AST:
        # Of a function only these are evaluated in the class's own scope.
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        self._visit_defaults(node.args)
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self._visit_defaults(node.args)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        node.bases = [self.visit(base) for base in node.bases]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        return node

    def _visit_comprehension(self, node: ast.AST) -> ast.AST:
        node.generators[0].iter = self.visit(node.generators[0].iter)
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension

    def _visit_defaults(self, arguments: ast.arguments) -> None:
        arguments.defaults = [self.visit(default) for default in arguments.defaults]
        arguments.kw_defaults = [default and self.visit(default) for default in arguments.kw_defaults]
