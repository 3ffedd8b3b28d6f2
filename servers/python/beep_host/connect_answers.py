"""What a Connect procedure answers by: one response, a stream, or the stream of a session (see `rpc_calls.py`)."""

from __future__ import annotations

from _thread import allocate_lock, start_new_thread

from beep_host.connect_codec import Codec, envelope, error, http_status, last_envelope
from beep_host.http_exchange import Exchange
from beep_host.replies import dumps
from beep_host.rpc_status import Status, status

JSON_TYPE = b"application/json"


class UnaryAnswer(Exchange):
    """The one response of a unary procedure. `http_status` and `content_type` are set when it is there."""

    __slots__ = ("_claim", "_codec", "_response", "content_type", "http_status")

    def __init__(self, codec: Codec, response: str, sender: object) -> None:
        super().__init__(1, 0, sender)
        self._codec = codec
        self._response = response
        self._claim = allocate_lock()
        self.http_status = 200
        self.content_type = codec.unary_type

    def finish(self, message: dict) -> None:
        """The response. The first to tell the end is heard: the call itself, or its deadline."""
        buffers = self._codec.encode_buffers(self._response, message)
        if self._claim.acquire(False):
            self._add(buffers, 1)

    def fail(self, failure: Status) -> None:
        """The error."""
        text = dumps(error(failure))
        if self._claim.acquire(False):
            self.http_status = http_status(failure)
            self.content_type = JSON_TYPE
            self._add([text], 1)


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
