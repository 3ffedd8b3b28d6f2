"""Bytes to frames and back, without I/O. Twin of `frames.ts`, which draws the layout."""

from __future__ import annotations

from _struct import Struct

from beep_host import filling
from beep_host.errors import LimitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: on some versions typing brings the whole of re with it.
    from typing import Any

DEFAULT_MAX_FRAME_BYTES = 256 * 1024 * 1024
MAX_FRAME_PARTS = 65_536

_PREFIX = Struct("<II")
_PREFIX_BYTES = _PREFIX.size
# Parts at least this large are sent as they are; smaller ones are cheaper copied than sent apart.
_JOIN_BYTES = 64 * 1024
# For what a message says beside its value: ids, kinds, lengths of text.
_MESSAGE_BYTES = 128


def encode_frame(json: bytes, parts: list | tuple = ()) -> bytes:
    """A whole frame as one bytes object."""
    if not parts:
        return _PREFIX.pack(len(json), 0) + json
    return b"".join(encode_buffers(json, parts))


def encode_buffers(json: bytes, parts: list | tuple) -> list:
    """A frame as the buffers to send one after the other; small ones are joined, large ones not copied."""
    views = [memoryview(part).cast("B") if type(part) is not bytes else part for part in parts]
    lengths = Struct(f"<{len(views)}I").pack(*[len(view) for view in views])
    head = _PREFIX.pack(len(json), len(views)) + lengths + json
    buffers: list = []
    small = [head]
    for view in views:
        if len(view) < _JOIN_BYTES:
            small.append(view)
            continue
        buffers.append(b"".join(small))
        buffers.append(view)
        small = []
    if small:
        buffers.append(b"".join(small))
    return buffers


def check_size(max_frame_bytes: int, json: bytes, parts: list | tuple) -> None:
    """Refuses what no frame can hold: the peer would have to end the connection."""
    sizes = [part.nbytes if type(part) is memoryview else len(part) for part in parts]
    size = _MESSAGE_BYTES + len(json) + 4 * len(sizes) + sum(sizes)
    if size > max_frame_bytes:
        raise LimitError(
            f"Cannot send message of {size} bytes: maxFrameBytes is {max_frame_bytes}",
            hint="Send it in pieces, or start the server with a larger limit.",
        )


class FrameDecoder:
    """Turns a stream of bytes, cut anywhere, into `(json, parts)`; parts are writable bytearrays of their own, or arrays.

    `feed` takes a chunk. While a large part is being filled, `target` is the memory into which the next bytes of the
    stream belong, so that a reader can receive straight into it and say so by `filled`.
    """

    __slots__ = ("_buffer", "_head", "_part_fill", "_part_length", "_parts", "max_frame_bytes")

    def __init__(self, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._buffer = b""
        self._head: tuple[bytes, tuple] | None = None
        self._parts: list = []
        self._part_fill = 0
        self._part_length = 0

    @property
    def at_boundary(self) -> bool:
        """Whether the stream may end here: no frame has begun."""
        return not self._buffer and self._head is None

    def target(self) -> memoryview | None:
        """Where the next bytes belong while a part is being filled, else None."""
        if self._head is None or not self._parts:
            return None
        view = _view(self._parts[-1])
        if self._part_fill == len(view) and self._part_fill < self._part_length:
            view.release()
            filling.grow(self._parts[-1], self._part_length)
            view = _view(self._parts[-1])
        return view[self._part_fill :]

    def filled(self, count: int) -> None:
        """Says that `count` bytes were received into `target`."""
        self._part_fill += count

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the stream."""
        self._buffer = self._buffer + chunk if self._buffer else chunk

    def next(self) -> tuple[bytes, list] | None:
        """The next frame that has arrived whole, or None."""
        if self._head is None:
            buffer = self._buffer
            available = len(buffer)
            if available < _PREFIX_BYTES:
                return None
            json_bytes, count = _PREFIX.unpack_from(buffer)
            if count == 0:
                end = _PREFIX_BYTES + json_bytes
                if end > self.max_frame_bytes:
                    raise self._too_large(end)
                if available < end:
                    return self._gather(end)
                self._buffer = buffer[end:] if available > end else b""
                return buffer[_PREFIX_BYTES:end], []
            if not self._read_head(json_bytes, count):
                return None
        return self._fill_parts()

    def _gather(self, end: int) -> None:
        # Joining chunk by chunk is quadratic for a large JSON; filled like a part it is linear.
        if end - len(self._buffer) > _JOIN_BYTES and self._head is None:
            self._head = (b"", ())
            self._buffer = self._buffer[_PREFIX_BYTES:]
            self._begin_part(end - _PREFIX_BYTES)
            self._fill_part()

    def _read_head(self, json_bytes: int, count: int) -> bool:
        if count > MAX_FRAME_PARTS:
            raise LimitError(f"Cannot read frame: it has {count} parts, the most is {MAX_FRAME_PARTS}")
        head_bytes = _PREFIX_BYTES + 4 * count
        if head_bytes + json_bytes > self.max_frame_bytes:
            raise self._too_large(head_bytes + json_bytes)
        if len(self._buffer) < head_bytes:
            return False
        lengths = Struct(f"<{count}I").unpack_from(self._buffer, _PREFIX_BYTES)
        total = head_bytes + json_bytes + sum(lengths)
        if total > self.max_frame_bytes:
            raise self._too_large(total)
        end = head_bytes + json_bytes
        if len(self._buffer) < end:
            return False
        self._head = (self._buffer[head_bytes:end], lengths)
        self._buffer = self._buffer[end:]
        self._parts = []
        self._part_fill = 0
        return True

    def _fill_parts(self) -> tuple[bytes, list] | None:
        head = self._head
        assert head is not None
        json, lengths = head
        parts = self._parts
        wanted = len(lengths) or 1  # a large JSON without parts is filled like one part
        while True:
            if parts and not self._fill_part():
                return None
            if len(parts) == wanted:
                self._head = None
                self._parts = []
                return (json, parts) if lengths else (bytes(parts[0]), [])
            self._begin_part(lengths[len(parts)], json)

    def _begin_part(self, length: int, text: bytes = b"") -> None:
        self._parts.append(filling.begin_part(length, len(self._parts), text))
        self._part_fill = 0
        self._part_length = length

    def _fill_part(self) -> bool:
        """Moves what has come into the last part; whether that is full."""
        while self._buffer and self._part_fill < self._part_length:
            with self.target() as target:
                count = min(len(self._buffer), len(target))
                target[:count] = self._buffer[:count]
            self._buffer = self._buffer[count:]
            self._part_fill += count
        return self._part_fill == self._part_length

    def _too_large(self, size: int) -> LimitError:
        return LimitError(f"Cannot read frame of {size} bytes: maxFrameBytes is {self.max_frame_bytes}")


def _view(part: Any) -> memoryview:
    view = memoryview(part)
    return view if view.format == "B" else view.cast("B")
