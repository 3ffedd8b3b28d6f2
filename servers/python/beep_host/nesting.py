"""How deep values may be nested in values: one number for the whole server, set once by its limit `maxDepth`."""

from __future__ import annotations

# Each level is at most three of JSON, which the interpreter's own stack must hold; a client of ours sends no more.
MAX_DEPTH = 200
# What a message puts around a value, and tags that are levels of their own.
_AROUND = 56


class Nesting:
    """The two bounds that follow from the number."""

    def __init__(self) -> None:
        self.limit(MAX_DEPTH)

    def limit(self, most: int) -> None:
        """Sets the number."""
        self.written = most
        self.read = most + _AROUND


nesting = Nesting()
