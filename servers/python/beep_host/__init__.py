"""The Python side of `@beep/python-host`.

User code may import what its documentation names from here; the rest is the server.
"""

from beep_host.protocol import SERVER_VERSION as __version__

__all__ = ["__version__"]
