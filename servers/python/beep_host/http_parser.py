"""Bytes to HTTP/1.1 requests, without I/O.

Strict where leniency lets two programs read one stream differently (RFC 9112 §11.2): line ends are CR LF and
nothing else, a length is digits, framing fields come once, and a request with both lengths is refused. What
is refused raises `HttpError`, after which the connection must not be used again.

    parser.feed(bytes) ──► next_head() ──► the caller judges the head ──► next_body() ──► next_head() …
                             None: more bytes are needed                    None: more bytes are needed
"""

from __future__ import annotations

from beep_host import filling
from beep_host.http_head import HEAD_BYTES, TOKEN, HttpError, RequestHead, bad, parse_head

_HEX = b"0123456789abcdefABCDEF"
_MAX_CHUNK_LINE_BYTES = 256
# What one connection remembers: at most 32 KiB.
_MAX_REMEMBERED_HEADS = 32
_MAX_REMEMBERED_BYTES = 1024

# What a chunked body waits for.
_SIZE, _DATA, _DATA_END, _TRAILERS = range(4)


class RequestParser:
    """Cuts one connection's stream into heads and bodies, however its bytes arrive."""

    def __init__(self, max_head_bytes: int, max_body_bytes: int) -> None:
        self._max_head_bytes = max_head_bytes
        self._max_body_bytes = max_body_bytes
        self._data = b""
        self._head: RequestHead | None = None
        self._body = bytearray()
        self._filled = 0  # of a body whose length is known and which is read in place
        self._is_filling = False
        self._state = _SIZE
        self._chunk_left = 0
        self._trailer_bytes = 0
        self._skips_empty_line = True
        self._seen: dict[bytes, RequestHead] = {}

    @property
    def is_at_boundary(self) -> bool:
        """Whether the stream may end here: no request has begun."""
        return self._head is None and not self._data

    @property
    def has_begun_body(self) -> bool:
        """Whether bytes came after the head that was given last."""
        return bool(self._data or self._filled or self._state != _SIZE)

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the stream."""
        self._data = self._data + data if self._data else data

    def next_head(self) -> RequestHead | None:
        """The next request's head, once it has arrived whole. Then its body is asked for until that has."""
        data = self._data
        if self._skips_empty_line and data.startswith(b"\r"):
            # RFC 9112 §2.2: one empty line before a request is what some clients send after a body.
            if len(data) == 1:
                return None
            if data.startswith(b"\r\n"):
                data = self._data = data[2:]
                self._skips_empty_line = False
        end = data.find(b"\r\n\r\n", 0, self._max_head_bytes)
        if end < 0:
            if len(data) >= self._max_head_bytes:
                raise HttpError(
                    431, "limit", f"Cannot read request: its head is longer than {self._max_head_bytes} bytes"
                )
            # Refuse at once what could never become a head, rather than wait for the deadline.
            if data.count(b"\n") != data.count(b"\r\n"):
                raise bad("a line of its head does not end with CR LF")
            return None
        text = data[:end]
        # A client on a kept connection sends the same few heads over and over; reading one costs as much as a
        # call.
        head = self._seen.get(text)
        if head is None:
            head = parse_head(text)
            if end <= _MAX_REMEMBERED_BYTES:
                if len(self._seen) >= _MAX_REMEMBERED_HEADS:
                    self._seen.clear()
                self._seen[text] = head
        self._data = data[end + 4 :]
        self._head = head
        self._skips_empty_line = True
        return head

    def take_routine(self) -> tuple[RequestHead, bytes] | None:
        """A whole request with a head that was seen before and found to be routine; None, and nothing is taken, for all else."""
        data = self._data
        end = data.find(b"\r\n\r\n", 0, _MAX_REMEMBERED_BYTES + 4)
        head = self._seen.get(data[:end]) if end > 0 else None
        if head is None or not head.is_routine:
            return None
        begin = end + 4
        stop = begin + head.content_length
        if len(data) < stop:
            return None
        self._data = data[stop:]
        self._skips_empty_line = True
        return head, data[begin:stop]

    def next_body(self) -> bytes | bytearray | None:
        """The body of the request whose head was given, once it has arrived whole; empty when it has none."""
        head = self._head
        assert head is not None, "next_head() comes first"
        if head.is_chunked:
            return self._next_chunked()
        length = head.content_length
        if length > self._max_body_bytes:
            raise self._too_large()
        if self._is_filling:
            self._fill()
            if self._filled < length:
                return None
            return self._finish()
        if len(self._data) < length:
            self._body = filling.begin(length)
            self._is_filling = True
            self._fill()
            return None
        body = self._data[:length]
        self._data = self._data[length:]
        self._head = None
        return body

    def target(self) -> memoryview | None:
        """Where the next bytes of a body of known length belong, to spare their copy; None when `feed` takes
        them."""
        if not self._is_filling or self._head is None or self._filled == self._head.content_length:
            return None
        if self._filled == len(self._body):
            filling.grow(self._body, self._head.content_length)
        return memoryview(self._body)[self._filled :]

    def advance(self, count: int) -> None:
        """Says that `count` bytes were written to the start of `target`."""
        self._filled += count

    def _fill(self) -> None:
        length = self._head.content_length
        while self._data and self._filled < length:
            if self._filled == len(self._body):
                filling.grow(self._body, length)
            piece = self._data[: len(self._body) - self._filled]
            self._body[self._filled : self._filled + len(piece)] = piece
            self._data = self._data[len(piece) :]
            self._filled += len(piece)

    def _finish(self) -> bytearray:
        body = self._body
        self._body = bytearray()
        self._head = None
        self._filled = 0
        self._is_filling = False
        self._state = _SIZE
        self._trailer_bytes = 0
        return body

    def _next_chunked(self) -> bytes | bytearray | None:
        while True:
            if self._state == _SIZE:
                line = self._take_line(_MAX_CHUNK_LINE_BYTES, "a chunk's size line")
                if line is None:
                    return None
                self._chunk_left = _chunk_size(line)
                if len(self._body) + self._chunk_left > self._max_body_bytes:
                    raise self._too_large()
                self._state = _DATA if self._chunk_left else _TRAILERS
            elif self._state == _DATA:
                taken = self._data[: self._chunk_left]
                self._data = self._data[len(taken) :]
                self._body += taken
                self._chunk_left -= len(taken)
                if self._chunk_left:
                    return None
                self._state = _DATA_END
            elif self._state == _DATA_END:
                if not b"\r\n".startswith(self._data[:2]):
                    raise bad("a chunk is longer than its size says")
                if len(self._data) < 2:
                    return None
                self._data = self._data[2:]
                self._state = _SIZE
            else:
                line = self._take_line(self._max_head_bytes - self._trailer_bytes, "the trailer section")
                if line is None:
                    return None
                if not line:
                    return self._finish()
                self._trailer_bytes += len(line) + 2
                # Trailers are checked, then ignored: nothing here may change what the head said.
                name, colon, _ = line.partition(b":")
                if not colon or not name or name.translate(None, TOKEN) or line.translate(None, HEAD_BYTES):
                    raise bad("a trailer line is not a name, a colon and a value")

    def _take_line(self, most: int, what: str) -> bytes | None:
        end = self._data.find(b"\n", 0, most)
        if end < 0:
            if len(self._data) >= most:
                raise bad(f"{what} is longer than {most} bytes")
            return None
        line = self._data[:end]
        if line.find(b"\r") != end - 1 or not line:
            raise bad(f"{what} does not end with CR LF")
        self._data = self._data[end + 1 :]
        return line[:-1]

    def _too_large(self) -> HttpError:
        return HttpError(
            413,
            "limit",
            f"Cannot read request: its body is longer than maxFrameBytes, {self._max_body_bytes}",
        )


def _chunk_size(line: bytes) -> int:
    digits, _, extension = line.partition(b";")
    if not digits or digits.translate(None, _HEX) or extension.translate(None, HEAD_BYTES):
        raise bad("a chunk's size is not a row of hexadecimal digits")
    if len(digits) > 15:
        raise HttpError(413, "limit", f"Cannot read request: a chunk's size has {len(digits)} digits")
    return int(digits, 16)
