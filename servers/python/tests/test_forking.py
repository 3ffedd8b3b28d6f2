"""What a forked child lets go of."""

from __future__ import annotations

import os
import socket
import tempfile
import unittest

from beep_host.forking import close_listening


class Listening(unittest.TestCase):
    def closes_what_nobody_counted(self, listener: socket.socket, client: socket.socket) -> None:
        other = socket.socketpair()
        socket.setdefaulttimeout(5)
        try:
            # As the thread that accepts leaves it when a fork comes in between.
            descriptor, _ = listener._accept()
            listening = listener.fileno()
            close_listening(listener)
            self.assertEqual(socket.getdefaulttimeout(), 5)
            for closed in (descriptor, listening):
                with self.assertRaises(OSError):
                    os.fstat(closed)
            for kept in (client, *other):
                os.fstat(kept.fileno())
                self.assertTrue(os.get_blocking(kept.fileno()))
            self.assertEqual(client.recv(1), b"")
        finally:
            socket.setdefaulttimeout(None)
            for sock in (client, *other):
                sock.close()

    @unittest.skipUnless(hasattr(socket, "AF_UNIX"), "there are no Unix sockets")
    def test_a_path(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(f"{directory}/s")
            listener.listen()
            client = socket.socket(socket.AF_UNIX)
            client.connect(f"{directory}/s")
            self.closes_what_nobody_counted(listener, client)

    def test_a_port_of_all_addresses(self) -> None:
        listener = socket.create_server(("0.0.0.0", 0))
        client = socket.create_connection(("127.0.0.1", listener.getsockname()[1]))
        self.closes_what_nobody_counted(listener, client)


if __name__ == "__main__":
    unittest.main()
