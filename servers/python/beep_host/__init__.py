"""The Python side of `@beep/python-host`.

User code may import what `__all__` names from here; the rest is the server.
"""

from beep_host.protocol import SERVER_VERSION as __version__

__all__ = ["ClientGoneError", "JavaScriptError", "__version__", "display", "host", "infrastructure", "progress"]

_HOMES = {
    "ClientGoneError": "errors",
    "JavaScriptError": "errors",
    "display": "rich_display",
    "host": "host_functions",
    "progress": "reporting",
}


def __getattr__(name: str) -> object:
    # Loaded when asked for: importing the package must cost nothing, for the server begins with it.
    if name == "infrastructure":
        import beep_host.infrastructure

        return beep_host.infrastructure
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"beep_host.{home}"), name)
    return value


def __dir__() -> list:
    return sorted({*globals(), *__all__})
