"""Finds the stand-in for Python.NET's `clr`, last of all: an installed Python.NET is always found before it."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


class StandInFinder:
    """The last entry of `sys.meta_path`."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """`clr`, and the namespaces of the original where `clr` is the stand-in."""
        if name != "clr" and name != "Beep" and not name.startswith("Beep."):
            return None
        from beep_host import clr_standin

        return clr_standin.find_spec(name, is_ours=_is_ours(sys.modules.get("clr")))


def _is_ours(module: object) -> bool:
    return getattr(module, "__beep_stand_in__", False) is True
