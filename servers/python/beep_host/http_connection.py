"""One HTTP connection: reads its requests one after the other, has them judged and run, and answers each.

head ──► judge ──► body ──► route ──► answer ──► head …        one thread, blocking calls
  │        │         │                   │
  └────────┴─────────┴──── an error ─────┴──► its answer, then the end: nothing is read after what was refused
"""

from __future__ import annotations

import _socket
from _socket import timeout as SocketTimeout  # an alias of TimeoutError from 3.10 on
from _struct import pack
from time import monotonic, sleep

from beep_host.connection import is_lost_descriptor
from beep_host.http_exchange import Exchange
from beep_host.http_frames import hand_over as hand_over_frames
from beep_host.http_health import health_of
from beep_host.http_parser import HttpError, RequestHead, RequestParser
from beep_host.http_policy import FRAMES_PATH, HEALTH_PATH
from beep_host.http_reasons import REASONS
from beep_host.json_api import error_body, hand_over
from beep_host.peer_watch import WATCH_AFTER_SECONDS, PeerGone, PeerWatch

# Reads of 128 KiB and more make the allocator map fresh memory each time (docs/PROTOCOL.md, "Reading").
_READ_BYTES = 64 * 1024
# Below this it is cheaper to copy buffers together than to send them apart.
_JOIN_BYTES = 64 * 1024
# So long the calls of a request may send their answers themselves. Then the connection's thread takes over,
# and sends the head at least: a client that keeps the order of its calls sends the next ones when it has seen
# that.
_QUICK_MS = 5
# How long answers of one batch wait for each other.
_GATHER_SECONDS = 0.001
# What is read and dropped after a refusal, so that the peer reads the answer instead of a reset.
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 1024 * 1024

_JSON_FIELDS = (
    b"Content-Type: application/json\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
)
_FRAMES_FIELDS = b"Content-Type: application/x-beep-frames\r\n"

_IS_WINDOWS = hasattr(_socket, "SO_EXCLUSIVEADDRUSE")


def limit_receiving(sock: _socket.socket, milliseconds: int) -> None:
    """Limits the time of each read. Unlike `settimeout` this costs no system call per read."""
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, _time_value(milliseconds))


def limit_sending(sock: _socket.socket, milliseconds: int) -> None:
    """Limits the time for which a write may wait."""
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, _time_value(milliseconds))


def _time_value(milliseconds: int) -> bytes:
    if _IS_WINDOWS:  # a DWORD of milliseconds
        return pack("L", milliseconds)
    return pack("ll", milliseconds // 1000, milliseconds % 1000 * 1000)


class HttpConnection:
    """The state and the thread of one accepted connection."""

    def __init__(self, sock: object, server: object) -> None:
        self.is_authenticated = False
        self.is_busy = False
        self.idle_since = monotonic()
        self._socket = sock
        self._server = server
        self._limits = server.limits
        self._parser = RequestParser(self._limits.max_head_bytes, self._limits.max_body_bytes)
        self._is_timed = True
        self._is_quick = False
        self._is_ending = False
        self._watch = PeerWatch(sock)

    def run(self) -> None:
        """Serves requests until either side ends the connection. The body of the connection's thread."""
        try:
            self._socket.settimeout(self._limits.head_timeout_ms / 1000)
            try:
                if self._server.tls is not None:
                    self._begin_tls(self._server.tls)
                while not self._is_ending:
                    self._serve_one()
            except HttpError as error:
                self._refuse(error)
        except (PeerGone, OSError) as error:
            # Whoever was there has gone, and with them who would want to know; unless it was our descriptor
            # that went.
            if is_lost_descriptor(error) and not self._is_ending:
                self._server.server.on_descriptor_lost(error)
        finally:
            self._server.forget(self)
            self._close()

    def interrupt(self) -> None:
        """Ends the connection from another thread: its blocking call returns and its thread leaves."""
        self._is_ending = True
        try:
            self._socket.shutdown(2)  # SHUT_RDWR
        except OSError:
            pass  # it ended by itself

    def close_in_child(self) -> None:
        """For the child of a fork: closes without a shutdown."""
        self._close()

    def _close(self) -> None:
        self._watch.close()
        self._socket.close()

    def _begin_tls(self, context: object) -> None:
        """Opens TLS; to who speaks plain HTTP here it says so, unencrypted as it was asked."""
        from beep_host.tls import HANDSHAKE_RECORD, TlsSocket

        deadline = monotonic() + self._limits.head_timeout_ms / 1000
        first = self._receive()
        if first[0] != HANDSHAKE_RECORD:
            raise HttpError(400, "protocol", "Cannot answer plain HTTP: this port speaks TLS", hint="Use an https: URL.")
        sock = TlsSocket(self._socket, context)
        sock.shake_hands(first, lambda: max(deadline - monotonic(), 0.001))
        self._socket = sock
        self._watch = PeerWatch(sock)
        self._is_timed = True

    # -- reading

    def _serve_one(self) -> None:
        head = self._read_head()
        if not head.is_accepted:
            self._server.policy.judge(head)
            if head.path != HEALTH_PATH and not self.is_authenticated:
                self._server.admit(self)
            head.is_accepted = True
        body = self._read_body(head)
        if head.path == HEALTH_PATH:
            fields, text = health_of(head, self._server.server)
            self._send(self._head(head, 200, _JSON_FIELDS + fields), text)
        else:
            self._answer(head, body)
        if self._is_ending or not head.keeps_alive:
            self._finish_sending()
            self._is_ending = True

    def _read_head(self) -> RequestHead:
        parser = self._parser
        head = parser.next_head()
        if head is not None:
            return head
        if parser.is_at_boundary:
            self.idle_since = monotonic()
            self.is_busy = False
            # Those who have shown the token may rest; the others have the time for a head, and no more.
            self._set_timed(not self.is_authenticated)
            self._set_quick(False)
            try:
                parser.feed(self._receive())
            except SocketTimeout:
                raise PeerGone from None
            self.is_busy = True
            head = parser.next_head()
            if head is not None:
                return head
        deadline = monotonic() + self._limits.head_timeout_ms / 1000
        while True:
            left = deadline - monotonic()
            try:
                if left <= 0:
                    raise SocketTimeout
                self._is_timed = True
                self._socket.settimeout(left)
                parser.feed(self._receive())
            except SocketTimeout:
                raise HttpError(
                    408,
                    "protocol",
                    "Cannot read request: its head did not arrive within "
                    f"headTimeoutMs, {self._limits.head_timeout_ms}",
                ) from None
            head = parser.next_head()
            if head is not None:
                return head

    def _read_body(self, head: RequestHead) -> bytes | bytearray:
        parser = self._parser
        if head.content_length > self._limits.max_body_bytes:
            parser.next_body()  # raises, before the client is told to go on
        body = parser.next_body()
        if body is not None:
            return body
        if head.expects_continue and not parser.has_begun_body:
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._is_timed = True
        self._socket.settimeout(self._limits.body_stall_ms / 1000)
        while True:
            target = parser.target()
            try:
                if target is None:
                    parser.feed(self._receive())
                else:
                    count = self._socket.recv_into(target)
                    if not count:
                        raise PeerGone
                    target = None  # the memory cannot grow while a view of it is held
                    parser.advance(count)
            except SocketTimeout:
                raise HttpError(
                    408,
                    "protocol",
                    "Cannot read request: nothing of its body came for "
                    f"bodyStallMs, {self._limits.body_stall_ms}",
                ) from None
            body = parser.next_body()
            if body is not None:
                self._set_timed(False)
                return body

    def _receive(self) -> bytes:
        data = self._socket.recv(_READ_BYTES)
        if not data:
            raise PeerGone
        return data

    def _set_timed(self, is_timed: bool) -> None:
        """Puts a time on every read, or takes it off: a read with one costs a second system call."""
        if is_timed or self._is_timed:
            self._is_timed = is_timed
            self._socket.settimeout(self._limits.head_timeout_ms / 1000 if is_timed else None)

    def _set_quick(self, is_quick: bool) -> None:
        """Chooses between the kernel's two time limits on reads: that of a quick call, and that of an idle
        client."""
        if is_quick is not self._is_quick:
            self._is_quick = is_quick
            limit_receiving(self._socket, _QUICK_MS if is_quick else self._limits.idle_timeout_ms)

    # -- answering

    def _answer(self, head: RequestHead, body: bytes | bytearray) -> None:
        """Answers what the policy has let in."""
        if head.path == FRAMES_PATH:
            self._answer_frames(head, body)
        else:
            self._answer_command(head, body)

    def _answer_frames(self, head: RequestHead, body: bytes | bytearray) -> None:
        def send(buffers: list, is_first: bool, is_last: bool) -> None:
            self._send_frames(head, buffers, is_first, is_last)

        self._set_timed(False)
        limit = self._limits.max_buffered_bytes
        exchange, cancel = hand_over_frames(self._server.server, head, body, limit, send)
        try:
            if not exchange.is_sent:
                self._read_ahead()
            is_sent, is_started = exchange.take_over()
            if not is_sent:
                self._stream(head, exchange, is_started)
        except (PeerGone, OSError):
            exchange.take_over()
            exchange.abandon()
            if b"cancelOnDisconnect=1" in head.query and not exchange.is_done:
                cancel()
            raise

    def _read_ahead(self) -> None:
        """Reads for a few milliseconds: what comes next from a client that has got its answer, or its end."""
        self._set_quick(True)
        try:
            self._parser.feed(self._receive())
        except BlockingIOError:
            pass  # nothing came: the call takes longer, or the client is done for now

    def _stream(self, head: RequestHead, exchange: Exchange, is_started: bool) -> None:
        """Sends what comes, as it comes, and finds out meanwhile when the client has gone."""
        if not is_started and not exchange.is_done and not exchange.wait(0):
            self._send_frames(head, [], True, False)
            is_started = True
        while True:
            if not exchange.is_done and not exchange.wait(WATCH_AFTER_SECONDS):
                self._feed_ahead(self._watch.wait(exchange))
            exchange.gather(_GATHER_SECONDS)
            buffers, is_last = exchange.take()
            self._send_frames(head, buffers, not is_started, is_last)
            is_started = True
            if is_last:
                return

    def _send_frames(self, head: RequestHead, buffers: list, is_first: bool, is_last: bool) -> None:
        size = sum([len(buffer) for buffer in buffers])
        if is_first and is_last:
            self._send(self._head(head, 200, self._stream_fields(head) + b"Content-Length: %d\r\n" % size), *buffers)
        elif is_first:
            self._send(self._stream_head(head), *self._chunk(head, buffers, size, is_last))
        else:
            self._send(*self._chunk(head, buffers, size, is_last))

    def _answer_command(self, head: RequestHead, body: bytes | bytearray) -> None:
        self._send_when_done(head, hand_over(self._server.server, head, body))

    def _send_when_done(self, head: RequestHead, reply: object) -> None:
        # The time for a head is not for reading the answer to the first: that has no bound but for a client that takes nothing.
        self._set_timed(False)
        if not reply.wait(WATCH_AFTER_SECONDS):
            try:
                self._feed_ahead(self._watch.wait(reply))
            except PeerGone:
                if b"cancelOnDisconnect=1" in head.query:
                    reply.cancel()
                raise
            reply.wait()
        self._send_json(head, reply.status, reply.text)

    def _feed_ahead(self, data: bytes) -> None:
        if data:
            self._parser.feed(data)

    def _send_json(self, head: RequestHead, status: int, text: bytes) -> None:
        self._send(self._head(head, status, _JSON_FIELDS + b"Content-Length: %d\r\n" % len(text)), text)

    def _head(self, head: RequestHead | None, status: int, fields: bytes) -> bytes:
        if head is None or not head.keeps_alive:
            fields += b"Connection: close\r\n"
        elif head.minor_version == 0:
            fields += b"Connection: keep-alive\r\n"
        return b"HTTP/1.1 %d %s\r\n%s\r\n" % (status, REASONS[status], fields)

    def _stream_head(self, head: RequestHead) -> bytes:
        fields = self._stream_fields(head)
        if head.minor_version == 1:
            return self._head(head, 200, fields + b"Transfer-Encoding: chunked\r\n")
        self._is_ending = True  # HTTP/1.0 has no chunks: the end of the connection ends the body
        return self._head(None, 200, fields)

    def _stream_fields(self, head: RequestHead) -> bytes:
        """The header fields that say what a stream of answers is."""
        return _FRAMES_FIELDS

    def _chunk(self, head: RequestHead, buffers: list, size: int, is_last: bool) -> list:
        if head.minor_version == 0:
            return buffers
        end = b"0\r\n\r\n" if is_last else b""
        return [b"%x\r\n" % size, *buffers, b"\r\n" + end] if size else [end]

    def _send(self, *buffers: bytes) -> None:
        """Sends everything; what is small leaves in one piece, what is large is not copied."""
        if len(buffers) == 1:
            self._socket.sendall(buffers[0])
            return
        small: list = []
        gathered = 0
        for buffer in buffers:
            if len(buffer) < _JOIN_BYTES:
                small.append(buffer)
                gathered += len(buffer)
                continue
            self._socket.sendall(b"".join(small))
            self._socket.sendall(buffer)
            small = []
            gathered = 0
        if gathered:
            self._socket.sendall(b"".join(small))

    def _refuse(self, error: HttpError) -> None:
        if error.status == 401:
            # Makes guessing slow; only ever on a connection that is not trusted, on its own thread.
            self._server.server.refused_tokens.add()
            sleep(self._limits.refused_token_delay_ms / 1000)
        fields = _JSON_FIELDS + b"".join(
            [f"{name}: {value}\r\n".encode("latin-1") for name, value in error.headers]
        )
        status, text = self._refusal(error)
        self._send(self._head(None, status, fields + b"Content-Length: %d\r\n" % len(text)), text)
        self._finish_sending()

    def _refusal(self, error: HttpError) -> tuple[int, bytes]:
        """Status and JSON of the answer to a request that is refused."""
        return error.status, error_body(error)

    def _finish_sending(self) -> None:
        """Ends our half and reads what the peer still sends: closing on unread bytes would reset its answer
        away."""
        self._socket.shutdown(1)  # SHUT_WR
        deadline = monotonic() + _LINGER_SECONDS
        dropped = 0
        while dropped < _LINGER_BYTES:
            left = deadline - monotonic()
            if left <= 0:
                return
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(_READ_BYTES)
            except SocketTimeout:
                return
            if not data:
                return
            dropped += len(data)
