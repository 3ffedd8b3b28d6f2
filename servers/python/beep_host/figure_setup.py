"""Makes `plt.show()` show figures to the client, once a client has asked for displays.

Not by `MPLBACKEND`: subprocesses would inherit it, and find no such backend. Whoever sets that variable, or calls
`matplotlib.use()`, has chosen another backend, and keeps it.
"""

from __future__ import annotations

import os
import sys

from beep_host.after_import import AfterImport

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
        AfterImport("matplotlib", _choose).install()


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
