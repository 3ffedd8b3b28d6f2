"""A backend of matplotlib: draws like Agg, and shows figures to the client.

Imported by matplotlib alone, so its modules are there: they are looked up rather than imported, since no source of
this package may need anything beyond the standard library.
"""

from __future__ import annotations

from importlib import import_module

from beep_host.rich_display import display

_pyplot_figures = import_module("matplotlib._pylab_helpers").Gcf
_FigureManagerBase = import_module("matplotlib.backend_bases").FigureManagerBase
_FigureCanvasAgg = import_module("matplotlib.backends.backend_agg").FigureCanvasAgg


class FigureManager(_FigureManagerBase):
    """One figure of pyplot."""

    def show(self) -> None:
        """Shows it; called by `figure.show()`."""
        display(self.canvas.figure)


class FigureCanvas(_FigureCanvasAgg):
    """What a figure is drawn on."""

    manager_class = FigureManager


def show(*_args: object, **_kwargs: object) -> None:
    """Shows all open figures and closes them; called by `pyplot.show()`."""
    try:
        for manager in _pyplot_figures.get_all_fig_managers():
            display(manager.canvas.figure)
    finally:
        _pyplot_figures.destroy_all()
