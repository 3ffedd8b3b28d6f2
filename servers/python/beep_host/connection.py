"""A socket that speaks frames: exact reading, and sending that never interleaves and never blocks who must not wait."""

from __future__ import annotations

from _thread import allocate_lock

from beep_host.frames import FrameDecoder, encode_buffers, encode_frame
from beep_host.outbox import Outbox

# Below 128 KiB, at which the allocator would map fresh memory for each read.
READ_BYTES = 64 * 1024


class FrameConnection:
    """Frames over a stream socket. A sink for replies: `event` and `reply` may be called from any thread."""

    def __init__(self, sock: object, max_frame_bytes: int, first_bytes: bytes = b"") -> None:
        self.sock = sock
        self.decoder = FrameDecoder(max_frame_bytes)
        self.send_lock = allocate_lock()
        self.is_closed = False
        # Told of an error that only user code which closed our descriptors can have made.
        self.on_lost: object | None = None
        # Of a client that leaves more than this unread, nothing more is read.
        self.max_buffered_bytes = 16 * 1024 * 1024
        self._outbox: Outbox | None = None
        if first_bytes:
            self.decoder.feed(first_bytes)

    def read(self) -> bool:
        """Receives once into the decoder; False at the end of the stream."""
        outbox = self._outbox
        if outbox is not None and outbox.kept_bytes > self.max_buffered_bytes:
            outbox.wait_until_sent()
        decoder = self.decoder
        target = decoder.target()
        try:
            if target is not None:
                count = self.sock.recv_into(target)
                decoder.filled(count)
                return count > 0
            chunk = self.sock.recv(READ_BYTES)
        except OSError as error:
            # Reset, or closed by another thread: for a reader both are the end.
            self._check_lost(error)
            return False
        if not chunk:
            return False
        decoder.feed(chunk)
        return True

    def next_frame(self) -> tuple[bytes, list] | None:
        """The next whole frame, reading as needed; None at the end of the stream."""
        while True:
            frame = self.decoder.next()
            if frame is not None:
                return frame
            if not self.read():
                return None

    def reply(self, json: bytes, parts: list | tuple) -> None:
        """Sends one message."""
        try:
            if not parts:
                with self.send_lock:
                    self.sock.sendall(encode_frame(json))
                return
            buffers = encode_buffers(json, parts)
            with self.send_lock:
                for buffer in buffers:
                    self.sock.sendall(buffer)
        except OSError as error:
            # The peer is gone; its reader finds the end of the stream and closes what depends on it.
            self._check_lost(error)
            self.shutdown()

    event = reply

    def offer(self, json: bytes, parts: list | tuple, *, is_reply: bool = False, may_drop: bool = False) -> bool:
        """Sends one message without ever waiting; False when it was dropped since too much is unread."""
        outbox = self._outbox
        if outbox is None:
            # Made by the first coroutine's reply; only the event loop's thread and its callers' come here.
            outbox = self._outbox = Outbox(self.sock, self.send_lock, self._on_send_failed)
        return outbox.put(encode_frame(json, parts), may_drop)

    def _on_send_failed(self, error: OSError) -> None:
        self._check_lost(error)
        self.shutdown()

    def _check_lost(self, error: OSError) -> None:
        if is_lost_descriptor(error) and not self.is_closed and self.on_lost is not None:
            self.on_lost(error)

    def shutdown(self) -> None:
        """Ends the connection from any thread; a reader blocked on it wakes."""
        self.is_closed = True
        try:
            self.sock.shutdown(2)
        except OSError:
            pass  # it was down already

    def close(self) -> None:
        """Ends the connection and gives its descriptor back. Only its reader calls this."""
        self.shutdown()
        self.sock.close()


def is_lost_descriptor(error: Exception) -> bool:
    """Whether an error says that a descriptor is not a socket (any more): EBADF, or ENOTSOCK on macOS or Linux."""
    return getattr(error, "errno", None) in (9, 38, 88)
