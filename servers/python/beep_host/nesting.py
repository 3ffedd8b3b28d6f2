"""How deep values may be nested in values: one number for the whole server, set once by its limit `maxDepth`.

Values with tags are counted while they are read (`tags.py`). Those without are what the text of their message is read
as, and are looked at here.
"""

from __future__ import annotations

from beep_host.errors import ConversionError

# Each level is at most three of JSON, which the interpreter's own stack must hold; a client of ours sends no more.
MAX_DEPTH = 200
# What a message puts around a value, and tags that are levels of their own.
_AROUND = 56
# What is around the innermost of the arguments: their row, and those by name.
_AROUND_ARGUMENTS = 2


class Nesting:
    """The bounds that follow from the number."""

    def __init__(self) -> None:
        self.limit(MAX_DEPTH)

    def limit(self, most: int) -> None:
        """Sets the number."""
        self.written = most
        self.read = most + _AROUND
        # No text of so many bytes or less is nested deeper, and most messages are that short.
        self.shallow_bytes = most + _AROUND_ARGUMENTS

    def check_plain(self, text: bytes | bytearray, values: object) -> None:
        """Raises `ConversionError` for what a text was read as, without tags, when it is nested too deep."""
        most = self.shallow_bytes
        if len(text) > most and text.count(b"[") + text.count(b"{") > most and _is_deeper(values, most):
            raise self.error()

    def error(self) -> ConversionError:
        """What a client is told whose value is nested too deep."""
        return ConversionError(f"Cannot read the value: it is nested more than {self.written} deep")


def _is_deeper(value: object, most: int) -> bool:
    # Level by level: recursion is what the bound is to spare others.
    level = [value] if type(value) is list or type(value) is dict else []
    for _ in range(most):
        level = [
            child
            for item in level
            for child in (item if type(item) is list else item.values())
            if type(child) is list or type(child) is dict
        ]
        if not level:
            return False
    return True


nesting = Nesting()
