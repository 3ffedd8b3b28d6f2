"""A socket that speaks frames: exact reading, and sending that never interleaves and never blocks who must not wait."""

from __future__ import annotations

from _thread import allocate_lock

from beep_host.frames import FrameDecoder, encode_buffers, encode_frame

# Below 128 KiB, at which the allocator would map fresh memory for each read.
READ_BYTES = 64 * 1024


class FrameConnection:
    """Frames over a stream socket. A sink for replies: `event` and `reply` may be called from any thread."""

    def __init__(self, sock: object, max_frame_bytes: int, first_bytes: bytes = b"") -> None:
        self.sock = sock
        self.decoder = FrameDecoder(max_frame_bytes)
        self.send_lock = allocate_lock()
        self.is_closed = False
        if first_bytes:
            self.decoder.feed(first_bytes)

    def read(self) -> bool:
        """Receives once into the decoder; False at the end of the stream."""
        decoder = self.decoder
        target = decoder.target()
        try:
            if target is not None:
                count = self.sock.recv_into(target)
                decoder.filled(count)
                return count > 0
            chunk = self.sock.recv(READ_BYTES)
        except OSError:
            # Reset, or closed by another thread: for a reader both are the end.
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
        except OSError:
            # The peer is gone; its reader finds the end of the stream and closes what depends on it.
            self.shutdown()

    event = reply

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
