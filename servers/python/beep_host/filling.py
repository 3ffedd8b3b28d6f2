"""Memory for bytes whose number was announced: it grows as they really arrive, so that an announcement alone costs nothing.

`bytearray(n)` writes all of its zeros at once: a client that only says "256 MiB follow" would take 256 MiB.

What a message says beside its bytes may tell that they are the items of one `array.array`. Then they are received into it: to copy
8 MB into an array afterwards costs a third of what it costs to receive them.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: array is an extension module, which most servers never need.
    from array import array

_STEP_BYTES = 1024 * 1024
_ZEROS = memoryview(bytes(_STEP_BYTES))
# Below this, looking for what the bytes are costs as much as copying them.
_ARRAY_BYTES = 256 * 1024
# The text of a message in which it is looked for.
_MOST_TEXT = 64 * 1024
_TAG = b'["array","<'
# The formats of `array.array` whose items are what the dtype says on every machine that has numbers of these sizes.
_FORMATS = {b"i2": "h", b"u2": "H", b"i4": "i", b"u4": "I", b"i8": "q", b"u8": "Q", b"f4": "f", b"f8": "d"}


def begin(length: int) -> bytearray:
    """The memory for `length` bytes to come, or the first piece of it."""
    return bytearray(min(length, _STEP_BYTES))


def begin_part(length: int, number: int, text: bytes) -> bytearray | array:
    """The memory for a part of a message: an array, where the text of the message has a tag for one on this very part."""
    if length < _ARRAY_BYTES or len(text) > _MOST_TEXT:
        return begin(length)
    code = _format_of(length, number, text)
    if code is None:
        return begin(length)
    from array import array

    memory = array(code)
    memory.frombytes(_ZEROS[: min(length, _STEP_BYTES)])
    return memory


def _format_of(length: int, number: int, text: bytes) -> str | None:
    end = text.find(b"],%d]}" % number)
    start = text.rfind(_TAG, 0, end) if end > 0 and sys.byteorder == "little" else -1
    if start < 0:
        return None
    # Of one dimension: `<f8",[1000`
    dtype, _, count = text[start + len(_TAG) : end].partition(b'",[')
    code = _FORMATS.get(dtype)
    return code if code is not None and count.isdigit() and int(count) * int(dtype[1:]) == length else None


def grow(memory: bytearray | array, length: int) -> None:
    """Adds the next piece, once the ones before it are full. No view of the memory may be held."""
    if type(memory) is bytearray:
        memory.extend(_ZEROS[: length - len(memory)])
    else:
        memory.frombytes(_ZEROS[: length - len(memory) * memory.itemsize])
