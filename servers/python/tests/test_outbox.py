"""Sending without waiting: order, wholeness and the bound."""

from __future__ import annotations

import socket
import threading
import unittest
from _thread import allocate_lock

from beep_host.outbox import MAX_KEPT_BYTES, Outbox


class OutboxTest(unittest.TestCase):
    def setUp(self) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        self.errors: list = []
        self.send_lock = allocate_lock()
        self.outbox = Outbox(self.near, self.send_lock, self.errors.append)

    def tearDown(self) -> None:
        self.near.close()
        self.far.close()

    def read(self, size: int) -> bytes:
        data = b""
        self.far.settimeout(30)
        while len(data) < size:
            piece = self.far.recv(65536)
            self.assertTrue(piece, f"the other end closed after {len(data)} of {size} bytes")
            data += piece
        return data

    def test_sends_at_once_what_the_socket_takes(self) -> None:
        self.assertTrue(self.outbox.put(b"abc", False))
        self.assertEqual(self.read(3), b"abc")
        self.assertFalse(self.send_lock.locked())

    def test_keeps_the_rest_in_order_and_frames_whole(self) -> None:
        frames = [bytes([65 + i]) * 100_000 for i in range(20)]
        for frame in frames:
            self.assertTrue(self.outbox.put(frame, False))
        # Somebody who waits sends between two frames, never inside one.
        waited = threading.Thread(target=self.send_waiting)
        waited.start()
        data = self.read(20 * 100_000 + 3)
        waited.join()
        self.assertEqual(data.index(b"own") % 100_000, 0)
        self.assertEqual(data.replace(b"own", b"", 1), b"".join(frames))

    def send_waiting(self) -> None:
        with self.send_lock:
            self.near.sendall(b"own")

    def test_drops_what_may_be_dropped_beyond_the_bound(self) -> None:
        frame = b"x" * 65536
        taken = [self.outbox.put(frame, True) for _ in range(100)]
        self.assertIn(False, taken)
        self.assertLessEqual(sum(taken) * len(frame), MAX_KEPT_BYTES + 4 * len(frame) + 512 * 1024)
        self.assertTrue(self.outbox.put(b"reply", False))
        data = self.read(sum(taken) * len(frame) + 5)
        self.assertTrue(data.endswith(b"reply"))

    def test_tells_of_a_peer_that_has_gone(self) -> None:
        self.far.close()
        for _ in range(3):
            self.assertTrue(self.outbox.put(b"abc", False))
        self.assertTrue(self.errors)
        self.assertFalse(self.send_lock.locked())


if __name__ == "__main__":
    unittest.main()
