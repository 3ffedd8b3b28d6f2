"""What a Connect procedure answers by: one response, a stream, or the stream of a session (see `rpc_calls.py`)."""

from __future__ import annotations

from _thread import allocate_lock, start_new_thread

from beep_host.connect_codec import Codec, envelope, error, http_status, last_envelope
from beep_host.http_exchange import SENT_AT_ONCE_BYTES, Exchange
from beep_host.replies import dumps
from beep_host.rpc_status import Status, status

JSON_TYPE = b"application/json"


class UnaryAnswer:
    """The one response of a unary procedure: sent by the thread that has it, until `take_over` is called.

    An `Exchange` with one reply would do the same; as most calls are small and end at once, the least of it is here.
    """

    __slots__ = ("_exchange", "_is_ended", "_kept", "_lock", "_response", "_send", "codec", "content_type", "http_status", "is_sent")

    def __init__(self, codec: Codec, response: str, send: object) -> None:
        """`send(buffers)` sends; `http_status` and `content_type` are what they are to be sent with."""
        self.codec = codec
        self.content_type = codec.unary_type
        self.http_status = 200
        self.is_sent = False
        self._response = response
        self._send = send
        self._is_ended = False
        self._kept: list | None = None  # for a thread that is about to send it
        self._exchange: Exchange | None = None  # since it was taken over
        self._lock = allocate_lock()

    def finish(self, message: dict) -> None:
        """The response. The first to tell the end is heard: the call itself, or its deadline."""
        self._end(self.codec.encode_buffers(self._response, message), 200, self.content_type)

    def fail(self, failure: Status) -> None:
        """The error."""
        self._end([dumps(error(failure))], http_status(failure), JSON_TYPE)

    def _end(self, buffers: list, status: int, content_type: bytes) -> None:
        with self._lock:
            if self._is_ended:
                return
            self._is_ended = True
            self.http_status = status
            self.content_type = content_type
            if self._exchange is not None:
                self._exchange.take_in(buffers)
            elif sum([len(buffer) for buffer in buffers]) <= SENT_AT_ONCE_BYTES:
                self._send_now(buffers)
            else:
                self._kept = buffers
                start_new_thread(self._send_kept, ())

    def _send_now(self, buffers: list) -> None:
        self.is_sent = True
        # Let go of, since it knows this answer: a circle per call is work for the collector.
        send, self._send = self._send, None
        try:
            send(buffers)
        except OSError:
            pass  # the peer is gone, which the connection's thread finds out by its read

    def _send_kept(self) -> None:
        with self._lock:
            if not self.is_sent and self._exchange is None:
                self._send_now(self._kept)

    # -- the connection's thread

    def take_over(self) -> tuple[bool, bool]:
        """See `Exchange.take_over`."""
        with self._lock:
            if not self.is_sent and self._exchange is None:
                self._exchange = Exchange(1, 0)
                self._send = None
                if self._kept is not None:
                    self._exchange.take_in(self._kept)
            return self.is_sent, False

    @property
    def is_done(self) -> bool:
        """Whether the response is there."""
        return self._is_ended

    def notify(self, notify: object) -> bool:
        """See `Exchange.notify`."""
        return self._exchange.notify(notify)

    def wait(self, seconds: float) -> bool:
        """See `Exchange.wait`."""
        return self._exchange.wait(seconds)

    def take(self) -> list:
        """The response, once there is one."""
        return self._exchange.take()[0]

    def abandon(self) -> None:
        """See `Exchange.abandon`."""
        if self._exchange is not None:
            self._exchange.abandon()


class StreamAnswer(Exchange):
    """The messages of a streaming procedure."""

    __slots__ = ("_codec", "_is_ended", "_response", "content_type")

    def __init__(self, codec: Codec, response: str, max_buffered_bytes: int, sender: object) -> None:
        super().__init__(1, max_buffered_bytes, sender)
        self._codec = codec
        self._response = response
        self._is_ended = allocate_lock()
        self.content_type = codec.stream_type

    def send(self, message: dict) -> None:
        """Sends a message; waits while the client leaves too much unread."""
        held = self._add(envelope(self._codec, self._response, message), 0)
        if held is not None:
            held.acquire()

    def offer(self, message: dict, may_drop: bool = False) -> bool:
        """Sends a message without waiting; False when too much is unread and it was dropped."""
        if may_drop and self._buffered > self._max_buffered_bytes:
            return False
        self._add(envelope(self._codec, self._response, message), 0, waits=False)
        return True

    def send_last(self, message: dict) -> None:
        """Sends the last message and the end, in one piece."""
        buffers = envelope(self._codec, self._response, message)
        if self._is_ended.acquire(False):
            self._add([*buffers, last_envelope(None)], 1)

    def end(self, failure: Status | None) -> None:
        """Ends the stream; doing it again does nothing."""
        if self._is_ended.acquire(False):
            self._add([last_envelope(failure)], 1)

    fail = end


class SessionAnswer:
    """The stream of a session. It is open for long and says little: who has something to say sends it at once."""

    def __init__(self, codec: Codec, response: str, write: object, broken: object) -> None:
        """`write(buffers, is_first, is_last)` sends; `broken()` ends the connection."""
        self.is_ended = False
        self._codec = codec
        self._response = response
        self._write = write
        self._broken = broken
        self._is_started = False
        self._lock = allocate_lock()

    def send(self, message: dict) -> None:
        """Sends a message."""
        self._put(envelope(self._codec, self._response, message), False)

    def end(self, failure: Status | None) -> None:
        """Ends the stream; doing it again does nothing."""
        self._put([last_envelope(failure)], True)

    fail = end

    def _put(self, buffers: list, is_last: bool) -> None:
        with self._lock:
            if self.is_ended:
                return
            self.is_ended = is_last
            try:
                self._write(buffers, not self._is_started, is_last)
            except OSError:
                # A part may have been sent: nothing that follows could be read. Its reader finds the end.
                self._broken()
            self._is_started = True


class Deadline:
    """Ends a procedure when its time has passed."""

    def __init__(self, milliseconds: int, answer: object, cancel: object) -> None:
        self._left = allocate_lock()
        self._left.acquire()
        start_new_thread(self._wait, (milliseconds, answer, cancel))

    def done(self) -> None:
        """Says that the answer has been given."""
        self._left.release()

    def _wait(self, milliseconds: int, answer: object, cancel: object) -> None:
        if not self._left.acquire(True, milliseconds / 1000):
            answer.fail(status("timeout", f"Cannot complete call within its deadline: {milliseconds} ms passed"))
            cancel()
