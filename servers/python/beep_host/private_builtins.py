"""Built-in functions for the server alone: user code that deletes or replaces those of `builtins` breaks only itself.

A function finds its built-ins in the `__builtins__` that its module has when the function is made. So the modules of
this package are loaded by a loader that puts a copy there first.
"""

from __future__ import annotations

import builtins
import os
import sys

# Loaded in every interpreter, as `importlib.machinery` is not.
from _frozen_importlib_external import FileFinder, SourceFileLoader

_private = dict(builtins.__dict__)


class _Loader(SourceFileLoader):
    def exec_module(self, module: object) -> None:
        module.__dict__["__builtins__"] = _private
        super().exec_module(module)


def install() -> None:
    """Gives them to the modules of this package that are imported from now on."""
    package = os.path.dirname(__file__)
    for directory in (package, os.path.join(package, "infrastructure")):
        sys.path_importer_cache[directory] = FileFinder(directory, (_Loader, [".py"]))
