"""Who may ask an HTTP server for what: judged from a request's head alone, before its body is read.

Against web pages (a browser sends their address in Origin, says Sec-Fetch-Site, and asks before it sends a
content type that is not simple), against names that were made to point here (Host), and against everybody who
lacks the token.
"""

from __future__ import annotations

from _operator import _compare_digest  # what hmac.compare_digest is, without importing hashlib

from beep_host import protocol
from beep_host.http_parser import HttpError, RequestHead

FRAMES_PATH = protocol.FRAMES_PATH.encode()
FRAMES_TYPE = protocol.FRAMES_CONTENT_TYPE.encode()
JSON_TYPE = b"application/json"
HEALTH_PATH = b"/health"
API_PREFIX = b"/api/"


class HttpPolicy:
    """The rules of one server; `judge` raises `HttpError` for what they refuse."""

    def __init__(
        self,
        port: int,
        token: str | None,
        allowed_hosts: tuple[str, ...] | list[str] = (),
        allowed_origins: tuple[str, ...] | list[str] = (),
        commands: tuple[str, ...] | list[str] = (),
        default_port: int = 80,
        readings: tuple[str, ...] | list[str] = (),
    ) -> None:
        """`token` None means that none is asked for; `allowed_hosts` adds `name:port`, or a name alone for this
        server's own port, to this machine's own names."""
        names: list[str] = []
        for name in ("127.0.0.1", "localhost", "[::1]", *allowed_hosts):
            if name.rpartition(":")[2].isdigit() and not name.endswith("]"):
                names.append(name)
                continue
            names.append(f"{name}:{port}")
            if port == default_port:
                names.append(name)
        self._hosts = frozenset(name.lower().encode("latin-1") for name in names)
        self._origins = frozenset(origin.encode("latin-1") for origin in allowed_origins)
        self._token = None if token is None else token.encode("latin-1")
        self._get_paths = frozenset(API_PREFIX + name.encode("ascii") for name in readings)
        self._post_paths = frozenset([FRAMES_PATH] + [API_PREFIX + name.encode("ascii") for name in commands])

    def judge(self, head: RequestHead) -> None:
        """Refuses the request, or lets it be read: Host, Origin, token, path, method and content type in this
        order."""
        headers = head.headers
        host = headers.get(b"host")
        if host is None and head.minor_version == 1:
            raise HttpError(400, "protocol", "Cannot read request: it has no Host header")
        if (
            host is None
            or host.lower() not in self._hosts
            or (head.authority is not None and head.authority.lower() not in self._hosts)
        ):
            raise HttpError(
                421,
                "protocol",
                f"Cannot answer for host {quote(head.authority or host or b'')}: no name of this server",
            )
        origin = headers.get(b"origin")
        if origin is not None and origin not in self._origins:
            raise HttpError(403, "authentication", "Cannot answer a web page: its origin is not allowed")
        if origin is None and headers.get(b"sec-fetch-site", b"none").lower() != b"none":
            raise HttpError(403, "authentication", "Cannot answer a web page: Sec-Fetch-Site shows one")
        method, path = head.method, head.path
        if method == b"OPTIONS":
            raise HttpError(
                403, "authentication", "Cannot answer OPTIONS: no web page is allowed to ask this server"
            )
        if path == HEALTH_PATH:
            if method != b"GET" and method != b"HEAD":
                raise method_not_allowed(method, "GET, HEAD")
            return
        self._check_token(headers.get(b"authorization"))
        self.judge_path(head)

    def judge_path(self, head: RequestHead) -> None:
        """Path, method and content type."""
        method, path = head.method, head.path
        if path in self._get_paths:
            if method != b"GET":
                raise method_not_allowed(method, "GET")
            return
        if path not in self._post_paths:
            raise HttpError(404, "argument", f"Cannot find path {quote(path)}")
        if method != b"POST":
            raise method_not_allowed(method, "POST")
        wanted = FRAMES_TYPE if path == FRAMES_PATH else JSON_TYPE
        content_type = media_type(head)
        if content_type != wanted:
            raise HttpError(
                415,
                "protocol",
                f"Cannot read content type {quote(content_type)}: this path takes {quote(wanted)}",
            )
        refuse_encoding(head)

    def _check_token(self, authorization: bytes | None) -> None:
        if self._token is None:
            return
        scheme, _, given = (authorization or b"").partition(b" ")
        # Compared even when the scheme is wrong, so that the time says nothing.
        is_same = _compare_digest(given.strip(b" "), self._token)
        if scheme.lower() != b"bearer" or not is_same:
            found = "none was given" if authorization is None else "the one given is wrong"
            raise HttpError(
                401,
                "authentication",
                f"Cannot authenticate: this server wants its token, and {found}",
                (("WWW-Authenticate", "Bearer"),),
            )


def media_type(head: RequestHead) -> bytes:
    """The content type of a request, without parameters."""
    return head.headers.get(b"content-type", b"").partition(b";")[0].strip(b" \t").lower()


def refuse_encoding(head: RequestHead) -> None:
    """Bodies are read as they are: one that is compressed would be malformed JSON, which explains nothing."""
    encoding = head.headers.get(b"content-encoding", b"identity")
    if encoding != b"identity":
        raise HttpError(
            415,
            "protocol",
            f"Cannot read content encoding {quote(encoding)}: send the body as it is",
            (("Accept-Encoding", "identity"),),
        )


def method_not_allowed(method: bytes, allowed: str) -> HttpError:
    return HttpError(
        405,
        "argument",
        f"Cannot answer method {quote(method)}: this path takes {allowed}",
        (("Allow", allowed),),
    )


def quote(text: bytes) -> str:
    return f'"{ascii(text.decode("latin-1"))[1:-1]}"'
