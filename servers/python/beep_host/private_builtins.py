"""Built-in functions for the server alone: user code that deletes or replaces those of `builtins` breaks only itself.

A function finds its built-ins in the `__builtins__` that its module has when the function is made. So the modules of
this package are loaded by a loader that puts a copy there first; so are those of others on which the server runs.
"""

from __future__ import annotations

import builtins
import os
import sys

# Loaded in every interpreter, as `importlib.machinery` is not.
from _frozen_importlib_external import FileFinder, PathFinder, SourceFileLoader

_private = dict(builtins.__dict__)


class _Loader(SourceFileLoader):
    def exec_module(self, module: object) -> None:
        module.__dict__["__builtins__"] = _private
        super().exec_module(module)


class _PackageFinder:
    """Finds the modules of some packages as ever, and has their sources loaded by our loader."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self._packages = packages

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        """See `importlib.abc.MetaPathFinder`."""
        if not name.startswith(self._packages):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    """Gives them to the modules of this package that are imported from now on."""
    package = os.path.dirname(__file__)
    for directory in (package, os.path.join(package, "infrastructure")):
        sys.path_importer_cache[directory] = FileFinder(directory, (_Loader, [".py"]))


def install_for(*packages: str) -> None:
    """Gives them to the modules of these packages, whoever imports them from now on."""
    sys.meta_path.insert(0, _PackageFinder(packages))
