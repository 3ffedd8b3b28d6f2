"""The Connect protocol over HTTP/1.1: the same server, parser and connection loop as HTTP, other paths and answers.

    POST /beep.python.v1.PythonService/<Method>   unary and server streaming, JSON and binary (docs/RPC.md)
    POST /rpc/PythonService/<Method>              the original's C# clients (`rpc_dialect.py`)
    GET  /health
"""

from __future__ import annotations

from beep_host import rpc_service
from beep_host.connect_answers import Deadline, SessionAnswer, StreamAnswer, UnaryAnswer
from beep_host.connect_codec import (
    STREAM_CODECS,
    UNARY_CODECS,
    error,
    http_status,
    last_envelope,
    method_of,
    open_envelope,
)
from beep_host.errors import HostError
from beep_host.http_connection import HttpConnection
from beep_host.http_parser import HttpError, RequestHead
from beep_host.http_policy import HttpPolicy, JSON_TYPE, media_type, method_not_allowed, quote
from beep_host.http_server import HttpServer
from beep_host.peer_watch import PeerGone
from beep_host.protocol import SESSION_HEADER
from beep_host.replies import dumps
from beep_host.rpc_dialect import DIALECT_PREFIX, answer_dialect, is_dialect_method
from beep_host.rpc_schema import METHODS
from beep_host.rpc_status import status_of

_SESSION_FIELD = SESSION_HEADER.encode()
# What the protocol allows: ten digits.
_MAX_TIMEOUT_DIGITS = 10
# Refused before there is an answer, yet in the form that a streaming client reads.
_STATUSES_IN_STREAM = frozenset((400, 408, 413))


class ConnectPolicy(HttpPolicy):
    """Which procedures there are, and what their requests look like."""

    def judge_path(self, head: RequestHead) -> None:
        """See `HttpPolicy.judge_path`."""
        path = head.path
        method = method_of(path)
        is_dialect = method is None and is_dialect_method(path)
        if method is None and not is_dialect:
            raise HttpError(404, "unimplemented", f"Cannot find procedure {quote(path)}")
        if head.method != b"POST":
            raise method_not_allowed(head.method, "POST")
        content_type = media_type(head)
        wanted = (JSON_TYPE,) if is_dialect else STREAM_CODECS if METHODS[method][2] else UNARY_CODECS
        if content_type not in wanted:
            known = " and ".join([quote(one) for one in wanted])
            raise HttpError(
                415,
                "protocol",
                f"Cannot read content type {quote(content_type)}: this procedure takes {known}",
                (("Accept-Post", ", ".join([one.decode() for one in wanted])),),
            )
        if not is_dialect:
            _check_fields(head, METHODS[method][2])


def _check_fields(head: RequestHead, is_stream: bool) -> None:
    version = head.headers.get(b"connect-protocol-version", b"1")
    if version != b"1":
        raise HttpError(400, "protocol", f"Cannot read request: Connect-Protocol-Version is {quote(version)}, not 1")
    encoding = head.headers.get(b"connect-content-encoding" if is_stream else b"content-encoding", b"identity")
    if encoding != b"identity":
        raise HttpError(
            501,
            "unimplemented",
            f"Cannot read content encoding {quote(encoding)}: send the message as it is",
            (("Accept-Encoding", "identity"),),
        )
    timeout = head.headers.get(b"connect-timeout-ms", b"0")
    if not timeout.isdigit() or len(timeout) > _MAX_TIMEOUT_DIGITS:
        raise HttpError(400, "protocol", f"Cannot read request: Connect-Timeout-Ms is {quote(timeout)}")


class ConnectConnection(HttpConnection):
    """One connection that speaks Connect."""

    def __init__(self, sock: object, server: object) -> None:
        super().__init__(sock, server)
        self._current: RequestHead | None = None

    def _read_head(self) -> RequestHead:
        self._current = None
        head = self._current = super()._read_head()
        return head

    def _answer(self, head: RequestHead, body: bytes | bytearray) -> None:
        if head.path.startswith(DIALECT_PREFIX):
            self._send_when_done(head, answer_dialect(self._server.server, head, body))
            return
        method = method_of(head.path)
        if METHODS[method][2]:
            self._answer_stream(head, method, body)
        else:
            self._answer_unary(head, method, body)

    def _answer_unary(self, head: RequestHead, method: str, body: bytes | bytearray) -> None:
        request_name, response_name, _ = METHODS[method]
        codec = UNARY_CODECS[media_type(head)]

        def send(buffers: list, is_first: bool, is_last: bool) -> None:
            self._send_unary(head, answer, buffers)

        answer = UnaryAnswer(codec, response_name, send)
        self._set_timed(False)
        try:
            request = codec.decode(request_name, body)
        except HostError as failure:
            answer.fail(status_of(failure))
            return
        self._serve(head, method, request, answer)

    def _answer_stream(self, head: RequestHead, method: str, body: bytes | bytearray) -> None:
        request_name, response_name, _ = METHODS[method]
        codec = STREAM_CODECS[media_type(head)]

        def send(buffers: list, is_first: bool, is_last: bool) -> None:
            self._send_frames(head, buffers, is_first, is_last)

        self._set_timed(False)
        is_session = method == "OpenSession"
        if is_session:
            answer: object = SessionAnswer(codec, response_name, send, self.interrupt)
        else:
            answer = StreamAnswer(codec, response_name, self._limits.max_buffered_bytes, send)
        try:
            request = codec.decode(request_name, open_envelope(body))
        except HostError as failure:
            answer.fail(status_of(failure))
            return
        if is_session:
            self._hold_session(request, answer)
        else:
            self._serve(head, method, request, answer)

    def _serve(self, head: RequestHead, method: str, request: dict, answer: object) -> None:
        """Starts a procedure and stays until its answer has been sent, or the client has gone: that cancels it."""
        session = head.headers.get(_SESSION_FIELD)
        name = None if session is None else session.decode("latin-1")
        cancel = rpc_service.start(self._server.server, method, request, name, answer)
        timeout = int(head.headers.get(b"connect-timeout-ms", b"0"))
        deadline = Deadline(timeout, answer, cancel) if b"connect-timeout-ms" in head.headers else None
        try:
            if not answer.is_sent:
                self._read_ahead()
            is_sent, is_started = answer.take_over()
            if not is_sent:
                self._send_taken(head, answer, is_started)
        except (PeerGone, OSError):
            answer.take_over()
            answer.abandon()
            if not answer.is_done:
                cancel()
            raise
        finally:
            if deadline is not None:
                deadline.done()

    def _send_taken(self, head: RequestHead, answer: object, is_started: bool) -> None:
        if isinstance(answer, StreamAnswer):
            self._stream(head, answer, is_started)
            return
        # The status of a unary answer is known when all of it is.
        if not answer.is_done:
            self._feed_ahead(self._watch.wait(answer))
            answer.wait(-1)
        self._send_unary(head, answer, answer.take()[0])

    def _send_unary(self, head: RequestHead, answer: UnaryAnswer, buffers: list) -> None:
        size = sum([len(buffer) for buffer in buffers])
        fields = b"Content-Type: %b\r\nContent-Length: %d\r\n" % (answer.content_type, size)
        self._send(self._head(head, answer.http_status, fields), *buffers)

    def _hold_session(self, request: dict, answer: SessionAnswer) -> None:
        """Waits for the end of the stream: the server's, by an end that was sent, or the client's."""
        close = rpc_service.start(self._server.server, "OpenSession", request, None, answer)
        try:
            while not answer.is_ended:
                try:
                    self._parser.feed(self._receive())
                except BlockingIOError:
                    pass  # a session may be silent for as long as it likes
        finally:
            close()

    def _stream_fields(self, head: RequestHead) -> bytes:
        return b"Content-Type: %b\r\n" % media_type(head)

    def _refuse(self, refusal: HttpError) -> None:
        head = self._current
        is_stream = head is not None and media_type(head) in STREAM_CODECS and method_of(head.path) is not None
        if not is_stream or refusal.status not in _STATUSES_IN_STREAM:
            super()._refuse(refusal)
            return
        text = last_envelope(status_of(refusal))
        fields = b"Content-Type: %b\r\nContent-Length: %d\r\n" % (media_type(head), len(text))
        self._send(self._head(None, 200, fields), text)
        self._finish_sending()

    def _refusal(self, refusal: HttpError) -> tuple[int, bytes]:
        head = self._current
        if head is not None and head.path.startswith(DIALECT_PREFIX):
            return super()._refusal(refusal)
        status = status_of(refusal)
        # What HTTP has a status of its own for keeps it; the code in the body is what clients of Connect read.
        is_known = refusal.status not in (400, 413) or status.code == "resource_exhausted"
        return refusal.status if is_known else http_status(status), dumps(error(status))


class ConnectServer(HttpServer):
    """Listens for Connect."""

    connection_type = ConnectConnection
    policy_type = ConnectPolicy
