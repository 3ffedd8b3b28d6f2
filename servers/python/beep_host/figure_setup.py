"""Makes `plt.show()` show figures to the client, once a client has asked for displays.

Not by `MPLBACKEND`: subprocesses would inherit it, and find no such backend. Whoever sets that variable, or calls
`matplotlib.use()`, has chosen another backend, and keeps it.
"""

from __future__ import annotations

import os
import sys

_BACKEND = "module://beep_host.figures"
_is_installed = False


def install() -> None:
    """Chooses our backend in matplotlib, now or when it is imported."""
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    if "MPLBACKEND" in os.environ:
        return
    if "matplotlib" in sys.modules:
        _choose(sys.modules["matplotlib"])
    else:
        sys.meta_path.insert(0, _MatplotlibFinder())


def _choose(matplotlib: object) -> None:
    pyplot = sys.modules.get("matplotlib.pyplot")
    try:
        if pyplot is None:
            # The entry of rcParams alone: `use()` would count as the user's own choice.
            matplotlib.rcParams["backend"] = _BACKEND
        elif pyplot.get_backend().lower() == "agg" and not pyplot.get_fignums():
            pyplot.switch_backend(_BACKEND)
    except Exception as error:
        # Without it `plt.show()` does what it did before; no call must fail for that.
        print(f"beep_host: cannot choose the backend of matplotlib: {error}", file=sys.stderr)


class _MatplotlibFinder:
    """Chooses the backend at the moment when matplotlib is first imported, and then leaves `sys.meta_path`."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> object | None:
        """Called by the import system for every module; answers for `matplotlib` alone."""
        if name != "matplotlib":
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: object) -> None:
            execute(module)
            _choose(module)

        spec.loader.exec_module = exec_module
        return spec
