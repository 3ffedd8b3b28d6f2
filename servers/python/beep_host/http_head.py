"""One request's head: its bytes to a `RequestHead`, or to the `HttpError` that refuses it. Strict, see `http_parser.py`."""

from __future__ import annotations

from beep_host.errors import HostError

TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = b"0123456789"
_TARGET = bytes(range(0x21, 0x7F))
# Field values: visible ASCII, space, tab and obs-text; CR and LF are judged apart.
HEAD_BYTES = b"\t\r\n" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))

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


def bad(message: str) -> HttpError:
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
        "is_routine",
        "route",
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
        self.is_routine = False  # set by who has answered it so: see `RequestParser.take_routine`
        self.route: tuple | None = None  # what a wire makes of it, kept by that wire

    @property
    def has_body(self) -> bool:
        """Whether bytes of a body follow the head."""
        return self.is_chunked or self.content_length != 0


def parse_head(head: bytes) -> RequestHead:
    """Reads a head, given without the empty line that ends it."""
    if head.translate(None, HEAD_BYTES):
        raise bad("its head contains control characters")
    if not head.count(b"\r\n") == head.count(b"\r") == head.count(b"\n"):
        raise bad("a line of its head does not end with CR LF")
    lines = head.split(b"\r\n")
    if len(lines) > MAX_HEADER_FIELDS + 1:
        raise HttpError(
            431, "limit", f"Cannot read request: it has more than {MAX_HEADER_FIELDS} header fields"
        )
    words = lines[0].split(b" ")
    if len(words) != 3:
        raise bad("its request line is not a method, a target and a version with one space between")
    method, target, version = words
    if not method or method.translate(None, TOKEN):
        raise bad("its method is not a token")
    if not target or target.translate(None, _TARGET):
        raise bad("its target contains characters that must be percent-encoded")
    if version == b"HTTP/1.1":
        minor_version = 1
    elif version == b"HTTP/1.0":
        minor_version = 0
    elif len(version) == 8 and version.startswith(b"HTTP/"):
        raise HttpError(505, "protocol", "Cannot read request: the version is not HTTP/1.1 or HTTP/1.0")
    else:
        raise bad("its request line does not end with an HTTP version")
    headers: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        # A space before the colon and a folded line both show here: neither makes a token.
        if not colon or not name or name.translate(None, TOKEN):
            raise bad("a header line is not a name, a colon and a value")
        name = name.lower()
        value = value.strip(b" \t")
        if name in headers:
            if name in _SINGLE:
                raise bad(f"the header {name.decode()} is given twice")
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
            raise bad("its target is neither a path nor an http: URL")
        rest = target[7:]
        end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
        authority, target = rest[:end], rest[end:]
        if not target.startswith(b"/"):
            target = b"/" + target
    if b"#" in target:
        raise bad("its target has a fragment")
    path, _, query = target.partition(b"?")
    return authority, path, query


def _framing(headers: dict[bytes, bytes], minor_version: int) -> tuple[int, bool]:
    """Gives (content length, whether the body is chunked)."""
    coding = headers.get(b"transfer-encoding")
    length = headers.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise bad("it has both Content-Length and Transfer-Encoding")
        if minor_version == 0:
            raise bad("HTTP/1.0 has no Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise HttpError(
                501, "protocol", "Cannot read request: the only transfer coding understood is chunked"
            )
        return 0, True
    if length is None:
        return 0, False
    if not length or length.translate(None, _DIGITS):
        raise bad("its Content-Length is not a row of digits")
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
