"""Doing something with a module at the moment when somebody first imports it."""

from __future__ import annotations

import sys


class AfterImport:
    """A finder at the head of `sys.meta_path` that waits for one module, and finds nothing any more when it has come.

    `action(module)` is called when the module has been executed, before its importer sees it. The finder stays in its
    place: another thread that is importing just then would pass over the one behind it.
    """

    def __init__(self, name: str, action: object) -> None:
        self._name: str | None = name
        self._action = action

    def install(self) -> None:
        """Begins to wait; the module must not be loaded yet."""
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: object = None, target: object = None) -> object | None:
        """Called by the import system for every module; answers for its own alone."""
        if name != self._name:
            return None
        self._name = None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: object) -> None:
            execute(module)
            self._action(module)

        spec.loader.exec_module = exec_module
        return spec
