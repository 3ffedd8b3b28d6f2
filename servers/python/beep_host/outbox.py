"""Sending for threads that must not wait for a client: what cannot be sent at once is kept, and sent by a thread.

    put ── nothing waits, the socket takes it ──► sent
      └── else ──► [kept, in order] ── a thread of its own, while there is something ──► sent
      └── too much kept, and it may be dropped ──► dropped
"""

from __future__ import annotations

import _socket
from _thread import allocate_lock, start_new_thread

# What may be dropped is dropped when the client leaves more than this unread.
MAX_KEPT_BYTES = 1024 * 1024

_MSG_DONTWAIT = getattr(_socket, "MSG_DONTWAIT", 0)


class Outbox:
    """Frames for one socket. `send_lock` is held by whoever is in the middle of sending a frame."""

    def __init__(self, sock: object, send_lock: object, on_failed: object) -> None:
        self._sock = sock
        self._send_lock = send_lock
        self._on_failed = on_failed
        self._lock = allocate_lock()
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._waiting: list = []  # one lock for each reader that takes nothing more until this is sent

    @property
    def kept_bytes(self) -> int:
        """How much the client has not read yet."""
        return self._kept_bytes

    def wait_until_sent(self) -> None:
        """Waits until nothing is kept: the client has read, or has gone."""
        held = allocate_lock()
        held.acquire()
        with self._lock:
            if not self._kept:
                return
            self._waiting.append(held)
        held.acquire()

    def put(self, frame: bytes, may_drop: bool) -> bool:
        """Takes a frame; False when it was dropped."""
        with self._lock:
            if self._kept:
                if may_drop and self._kept_bytes > MAX_KEPT_BYTES:
                    return False
                self._keep(frame)
                return True
            if not _MSG_DONTWAIT or not self._send_lock.acquire(False):
                self._keep(frame)
                start_new_thread(self._drain, (False,))
                return True
            sent = self._send_now(frame)
            if sent == len(frame):
                self._send_lock.release()
                return True
            # The lock stays taken, for nothing may come between the two pieces of a frame; the thread gives it back.
            self._keep(frame[sent:])
            start_new_thread(self._drain, (True,))
            return True

    def _keep(self, data: bytes) -> None:
        self._kept.append(data)
        self._kept_bytes += len(data)

    def _send_now(self, frame: bytes) -> int:
        try:
            return self._sock.send(frame, _MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._on_failed(error)
            return len(frame)

    def _drain(self, holds_lock: bool) -> None:
        data = self._kept[0]
        while True:
            if not holds_lock:
                self._send_lock.acquire()
            holds_lock = False
            try:
                self._sock.sendall(data)
            except OSError as error:
                self._on_failed(error)
            finally:
                self._send_lock.release()
            with self._lock:
                del self._kept[0]
                self._kept_bytes -= len(data)
                if not self._kept:
                    for held in self._waiting:
                        held.release()
                    self._waiting = []
                    return
                data = self._kept[0]
