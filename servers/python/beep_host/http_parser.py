"""Bytes to HTTP/1.1 requests, without I/O.

Strict where leniency lets two programs read one stream differently (RFC 9112 §11.2): line ends are CR LF and
nothing else, a length is digits, framing fields come once, and a request with both lengths is refused. What
is refused raises `HttpError`, after which the connection must not be used again.

    parser.feed(bytes) ──► next_head() ──► the caller judges the head ──► next_body() ──► next_head() …
                             None: more bytes are needed                    None: more bytes are needed
"""

from __future__ import annotations

from beep_host import filling
from beep_host.errors import HostError

_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = b"0123456789"
_HEX = b"0123456789abcdefABCDEF"
_TARGET = bytes(range(0x21, 0x7F))
# Field values: visible ASCII, space, tab and obs-text; CR and LF are judged apart.
_HEAD = b"\t\r\n" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))

# Fields that decide framing, routing or trust: a second one could be read differently by somebody else.
_SINGLE = frozenset(
    (
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"content-type",
        b"authorization",
        b"origin",
        b"expect",
        b"beep-session",
        b"sec-fetch-site",
    )
)

MAX_HEADER_FIELDS = 100
_MAX_CHUNK_LINE_BYTES = 256
# What one connection remembers: at most 32 KiB.
_MAX_REMEMBERED_HEADS = 32
_MAX_REMEMBERED_BYTES = 1024
# More digits than this cannot be a length that fits, and would make int() work for nothing.
_MAX_LENGTH_DIGITS = 18


class HttpError(HostError):
    """A request that is refused: a status beside the word for programs and the sentence for people."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: tuple[tuple[str, str], ...] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.headers = headers


def _bad(message: str) -> HttpError:
    return HttpError(400, "protocol", f"Cannot read request: {message}")


class RequestHead:
    """Request line and header fields of one request. Field names are lower case, values are stripped."""

    __slots__ = (
        "method",
        "target",
        "path",
        "query",
        "authority",
        "minor_version",
        "headers",
        "content_length",
        "is_chunked",
        "keeps_alive",
        "expects_continue",
        "is_accepted",
    )

    def __init__(self, method: bytes, target: bytes, minor_version: int, headers: dict[bytes, bytes]) -> None:
        self.method = method
        self.target = target
        self.minor_version = minor_version
        self.headers = headers
        self.authority, self.path, self.query = _split_target(method, target)
        self.content_length, self.is_chunked = _framing(headers, minor_version)
        self.keeps_alive = _keeps_alive(headers, minor_version)
        self.expects_continue = _expects_continue(headers, minor_version)
        self.is_accepted = False  # set by who has judged it: the same bytes need no second judgement

    @property
    def has_body(self) -> bool:
        """Whether bytes of a body follow the head."""
        return self.is_chunked or self.content_length != 0


def parse_head(head: bytes) -> RequestHead:
    """Reads a head, given without the empty line that ends it."""
    if head.translate(None, _HEAD):
        raise _bad("its head contains control characters")
    if not head.count(b"\r\n") == head.count(b"\r") == head.count(b"\n"):
        raise _bad("a line of its head does not end with CR LF")
    lines = head.split(b"\r\n")
    if len(lines) > MAX_HEADER_FIELDS + 1:
        raise HttpError(
            431, "limit", f"Cannot read request: it has more than {MAX_HEADER_FIELDS} header fields"
        )
    words = lines[0].split(b" ")
    if len(words) != 3:
        raise _bad("its request line is not a method, a target and a version with one space between")
    method, target, version = words
    if not method or method.translate(None, _TOKEN):
        raise _bad("its method is not a token")
    if not target or target.translate(None, _TARGET):
        raise _bad("its target contains characters that must be percent-encoded")
    if version == b"HTTP/1.1":
        minor_version = 1
    elif version == b"HTTP/1.0":
        minor_version = 0
    elif len(version) == 8 and version.startswith(b"HTTP/"):
        raise HttpError(505, "protocol", "Cannot read request: the version is not HTTP/1.1 or HTTP/1.0")
    else:
        raise _bad("its request line does not end with an HTTP version")
    headers: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        # A space before the colon and a folded line both show here: neither makes a token.
        if not colon or not name or name.translate(None, _TOKEN):
            raise _bad("a header line is not a name, a colon and a value")
        name = name.lower()
        value = value.strip(b" \t")
        if name in headers:
            if name in _SINGLE:
                raise _bad(f"the header {name.decode()} is given twice")
            value = headers[name] + b", " + value
        headers[name] = value
    return RequestHead(method, target, minor_version, headers)


def _split_target(method: bytes, target: bytes) -> tuple[bytes | None, bytes, bytes]:
    """Gives (authority or None, path, query) of an origin-form or absolute-form target."""
    authority: bytes | None = None
    if not target.startswith(b"/"):
        if target == b"*" and method == b"OPTIONS":
            return None, b"*", b""
        if target[:7].lower() != b"http://":
            raise _bad("its target is neither a path nor an http: URL")
        rest = target[7:]
        end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
        authority, target = rest[:end], rest[end:]
        if not target.startswith(b"/"):
            target = b"/" + target
    if b"#" in target:
        raise _bad("its target has a fragment")
    path, _, query = target.partition(b"?")
    return authority, path, query


def _framing(headers: dict[bytes, bytes], minor_version: int) -> tuple[int, bool]:
    """Gives (content length, whether the body is chunked)."""
    coding = headers.get(b"transfer-encoding")
    length = headers.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise _bad("it has both Content-Length and Transfer-Encoding")
        if minor_version == 0:
            raise _bad("HTTP/1.0 has no Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise HttpError(
                501, "protocol", "Cannot read request: the only transfer coding understood is chunked"
            )
        return 0, True
    if length is None:
        return 0, False
    if not length or length.translate(None, _DIGITS):
        raise _bad("its Content-Length is not a row of digits")
    if len(length) > _MAX_LENGTH_DIGITS:
        raise HttpError(413, "limit", f"Cannot read request: its Content-Length has {len(length)} digits")
    return int(length), False


def _keeps_alive(headers: dict[bytes, bytes], minor_version: int) -> bool:
    connection = headers.get(b"connection")
    if connection is None:
        return minor_version == 1
    options = [option.strip(b" \t").lower() for option in connection.split(b",")]
    if b"close" in options:
        return False
    return minor_version == 1 or b"keep-alive" in options


def _expects_continue(headers: dict[bytes, bytes], minor_version: int) -> bool:
    expectation = headers.get(b"expect")
    if expectation is None or minor_version == 0:  # RFC 9110 §10.1.1: ignored from HTTP/1.0
        return False
    if expectation.lower() != b"100-continue":
        raise HttpError(
            417, "protocol", "Cannot read request: the only expectation understood is 100-continue"
        )
    return True


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
                raise _bad("a line of its head does not end with CR LF")
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
                    raise _bad("a chunk is longer than its size says")
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
                if not colon or not name or name.translate(None, _TOKEN) or line.translate(None, _HEAD):
                    raise _bad("a trailer line is not a name, a colon and a value")

    def _take_line(self, most: int, what: str) -> bytes | None:
        end = self._data.find(b"\n", 0, most)
        if end < 0:
            if len(self._data) >= most:
                raise _bad(f"{what} is longer than {most} bytes")
            return None
        line = self._data[:end]
        if line.find(b"\r") != end - 1 or not line:
            raise _bad(f"{what} does not end with CR LF")
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
    if not digits or digits.translate(None, _HEX) or extension.translate(None, _HEAD):
        raise _bad("a chunk's size is not a row of hexadecimal digits")
    if len(digits) > 15:
        raise HttpError(413, "limit", f"Cannot read request: a chunk's size has {len(digits)} digits")
    return int(digits, 16)
