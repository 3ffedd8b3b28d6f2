"""The Connect protocol over HTTP/1.1: the same server, parser and connection loop as HTTP, other paths and answers.

    POST /beep.python.v1.PythonService/<Method>   unary and server streaming, JSON and binary (docs/RPC.md)
    POST /rpc/PythonService/<Method>              the original's C# clients (`rpc_dialect.py`)
    GET  /health
"""

from __future__ import annotations

from beep_host import rpc_service
from beep_host.connect_answers import Deadline, SessionAnswer, StreamAnswer, UnaryAnswer
from beep_host.connect_codec import (
    PREFIX_BYTES,
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
from beep_host.http_head import HttpError, RequestHead
from beep_host.http_parser import RequestParser
from beep_host.http_policy import HttpPolicy, JSON_TYPE, media_type, method_not_allowed, quote, refuse_encoding
from beep_host.http_server import HttpServer
from beep_host.peer_watch import PeerGone
from beep_host.protocol import SESSION_HEADER
from beep_host.read_ahead import LentReading, UnderWay, can_lend
from beep_host.replies import dumps
from beep_host.rpc_dialect import DIALECT_PREFIX, answer_dialect, is_dialect_method
from beep_host.rpc_schema import METHODS
from beep_host.rpc_status import status_of

_SESSION_FIELD = SESSION_HEADER.encode()
# What the protocol allows: ten digits.
_MAX_TIMEOUT_DIGITS = 10
# A response that is sent in one piece without a second look.
_SMALL_BYTES = 16 * 1024
# Refused before there is an answer, yet in the form that a streaming client reads.
_STATUSES_IN_STREAM = frozenset((400, 408, 413, 501))


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
        if is_dialect:
            refuse_encoding(head)
        else:
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
        # The limit is one of messages, and those of a stream have five bytes before them: see `_read_body`.
        self._parser = RequestParser(self._limits.max_head_bytes, self._limits.max_body_bytes + PREFIX_BYTES)
        self._current: RequestHead | None = None
        self._reading: LentReading | None = None

    def _read_head(self) -> RequestHead:
        self._current = None
        head = self._current = super()._read_head()
        return head

    def _read_body(self, head: RequestHead) -> bytes | bytearray:
        is_stream = media_type(head) in STREAM_CODECS
        limit = self._limits.max_body_bytes
        # Before the client is told to go on, and before any of it is awaited.
        if head.content_length > limit + (PREFIX_BYTES if is_stream else 0):
            raise self._too_long()
        try:
            body = super()._read_body(head)
        except HttpError as refusal:
            raise self._too_long() if refusal.status == 413 else refusal from None
        if len(body) > limit and not is_stream:
            raise self._too_long()
        return body

    def _too_long(self) -> HttpError:
        return HttpError(
            413, "limit", f"Cannot read request: its message is longer than maxFrameBytes, {self._limits.max_body_bytes}"
        )

    def _answer(self, head: RequestHead, body: bytes | bytearray) -> None:
        if head.path.startswith(DIALECT_PREFIX):
            self._send_when_done(head, answer_dialect(self._server.server, head, body))
            return
        method = method_of(head.path)
        if METHODS[method][2]:
            self._answer_stream(head, method, body)
        else:
            self._answer_unary(head, body)

    def _answer_unary(self, head: RequestHead, body: bytes | bytearray) -> None:
        self._set_timed(False)
        reading = self._reading
        if reading is None:  # made here, since TLS puts another socket in the place of the first
            reading = self._reading = LentReading(self._socket, self._parser, self._start_unary)
        has_deadline = b"connect-timeout-ms" in head.headers
        if reading.is_worthwhile and not has_deadline and head.keeps_alive and can_lend(self._socket):
            under_way = reading.lend(head, body)
            if under_way is not None:
                with _cancelling(under_way.answer, under_way.stop):
                    self._send_taken(head, under_way.answer, False)
            return
        under_way = self._start_unary(head, body)
        if under_way.cancel is not None:
            self._serve(head, under_way.answer, under_way.cancel)

    def _start_unary(self, head: RequestHead, body: bytes | bytearray) -> UnderWay:
        """Starts a unary procedure, on whatever thread has read it."""
        route = head.route
        if route is None:
            method = method_of(head.path)
            session = head.headers.get(_SESSION_FIELD)
            name = None if session is None else session.decode("latin-1")
            route = head.route = (method, *METHODS[method][:2], UNARY_CODECS[media_type(head)], name)
        method, request_name, response_name, codec, session = route

        def send(buffers: list) -> None:
            try:
                self._send_unary(head, answer, buffers)
            finally:
                reading.answered()

        reading = self._reading
        answer = UnaryAnswer(codec, response_name, send)
        under_way = UnderWay(answer)
        reading.started(under_way)
        try:
            request = codec.decode(request_name, body)
        except HostError as failure:
            answer.fail(status_of(failure))
        else:
            under_way.may_be_stopped(rpc_service.start(self._server.server, method, request, session, answer))
        return under_way

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
            session = head.headers.get(_SESSION_FIELD)
            name = None if session is None else session.decode("latin-1")
            cancel = rpc_service.start(self._server.server, method, request, name, answer)
            self._serve(head, answer, cancel)

    def _serve(self, head: RequestHead, answer: object, cancel: object) -> None:
        """Stays until the answer of a procedure has been sent, or the client has gone: that cancels it."""
        timeout = int(head.headers.get(b"connect-timeout-ms", b"0"))
        deadline = Deadline(timeout, answer, cancel) if b"connect-timeout-ms" in head.headers else None
        try:
            with _cancelling(answer, cancel):
                if not answer.is_sent:
                    self._read_ahead()
                is_sent, is_started = answer.take_over()
                if not is_sent:
                    self._send_taken(head, answer, is_started)
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
        self._send_unary(head, answer, answer.take())

    def _send_unary(self, head: RequestHead, answer: UnaryAnswer, buffers: list) -> None:
        size = sum([len(buffer) for buffer in buffers])
        if size < _SMALL_BYTES and answer.http_status == 200 and head.is_routine:
            # What `_head` would say, without asking.
            self._socket.sendall(b"".join([answer.codec.ok_head, b"%d\r\n\r\n" % size, *buffers]))
            return
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


class _cancelling:
    """Cancels a procedure whose client goes before it has been answered."""

    __slots__ = ("_answer", "_cancel")

    def __init__(self, answer: object, cancel: object) -> None:
        self._answer = answer
        self._cancel = cancel

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        if kind is None or not issubclass(kind, (PeerGone, OSError)):
            return
        self._answer.take_over()
        self._answer.abandon()
        if not self._answer.is_done:
            self._cancel()


class ConnectServer(HttpServer):
    """Listens for Connect."""

    connection_type = ConnectConnection
    policy_type = ConnectPolicy
