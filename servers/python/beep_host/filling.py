"""Memory for bytes whose number was announced: it grows as they really arrive, so that an announcement alone costs nothing.

`bytearray(n)` writes all of its zeros at once: a client that only says "256 MiB follow" would take 256 MiB.
"""

from __future__ import annotations

_STEP_BYTES = 1024 * 1024
_ZEROS = memoryview(bytes(_STEP_BYTES))


def begin(length: int) -> bytearray:
    """The memory for `length` bytes to come, or the first piece of it."""
    return bytearray(min(length, _STEP_BYTES))


def grow(memory: bytearray, length: int) -> None:
    """Adds the next piece, once the ones before it are full. No view of the memory may be held."""
    memory.extend(_ZEROS[: length - len(memory)])
