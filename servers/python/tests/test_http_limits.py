"""What an HTTP server does about slow clients, too many of them, and its own end."""

from __future__ import annotations

import threading
import time
import unittest

from beep_host.http_exchange import Exchange
from tests.http_support import Connection, HttpTestCase, frame

JSON = "Content-Type: application/json"


class SlowClients(HttpTestCase):
    limits = {"head_timeout_ms": 200, "body_stall_ms": 200, "idle_timeout_ms": 300}

    def test_head_by_drops(self) -> None:
        with self.connect() as connection:
            began = time.monotonic()
            connection.send(b"GET /health HTTP/1.1\r\n")
            with self.assertRaises((BrokenPipeError, ConnectionResetError)):
                while time.monotonic() - began < 5:
                    connection.send(b"X: y\r\n")
                    time.sleep(0.02)
            self.assertLess(time.monotonic() - began, 3)

    def test_head_that_stops(self) -> None:
        with self.connect() as connection:
            connection.send(b"GET /health HTTP/1.1\r\n")
            self.assertEqual(connection.read_response().status, 408)
            self.assertTrue(connection.is_closed_by_server())

    def test_silence(self) -> None:
        with self.connect() as connection:
            self.assertTrue(connection.is_closed_by_server())

    def test_body_that_stalls(self) -> None:
        for fields in (("Content-Length: 9",), ("Transfer-Encoding: chunked",), ("Content-Length: 90000",)):
            with self.connect() as connection:
                connection.send(self.request_bytes("/api/eval", b"4\r\n", JSON, *fields))
                self.assertEqual(connection.read_response().status, 408)

    def test_body_that_is_slow_but_moves(self) -> None:
        body = b'{"expression":"7"}'
        with self.connect() as connection:
            connection.send(self.request_bytes("/api/eval", b"", JSON, f"Content-Length: {len(body)}"))
            for at in range(len(body)):
                time.sleep(0.02)
                connection.send(body[at : at + 1])
            self.assertEqual(connection.read_response().json(), {"value": 7})

    def test_idle_connections_end(self) -> None:
        with self.connect() as connection:
            self.assertEqual(self.ask(connection, "/api/eval", b'{"expression":"7"}', JSON).status, 200)
            self.assertTrue(connection.is_closed_by_server())

    def test_a_client_that_does_not_read(self) -> None:
        with self.connect() as connection, self.connect() as beside:
            session = self.open_session(beside)
            body = frame(
                [2, "evaluate", ["n = 0\nwhile True:\n    print('x' * 100000)\n    n += 1"], {"stdout": 1}]
            )
            connection.send(
                self.request_bytes(
                    "/beep/v1/call?cancelOnDisconnect=1",
                    body,
                    "Content-Type: application/x-beep-frames",
                    f"Beep-Session: {session}",
                )
            )
            self.wait_until(lambda: self.server.clients[-1].running, "the call runs")
            # Its output is held back once the buffers are full; then the connection is given up.
            self.wait_until(lambda: not self.server.clients[-1].running, "the call ended")
        with self.connect() as beside:
            (reply,) = self.frames(beside, session, [9, "evaluate", ["n"]]).frames()
            self.assertLess(reply[2], 2000)


class ConnectionLimits(HttpTestCase):
    limits = {"max_connections": 3, "max_unauthenticated": 4}

    def test_the_oldest_stranger_is_dropped(self) -> None:
        strangers = [self.connect() for _ in range(4)]
        self.wait_until(lambda: len(self.http._connections) == 4, "four have come")
        with self.connect() as fifth:
            self.assertEqual(self.ask(fifth, "/health", b"", method="GET", token=None).status, 200)
            self.assertTrue(strangers[0].is_closed_by_server())
            self.assertEqual(self.ask(strangers[1], "/health", b"", method="GET", token=None).status, 200)
        for stranger in strangers:
            stranger.close()
        self.wait_until(lambda: not self.http._connections, "all have gone")

    def test_many_slow_strangers_do_not_keep_a_client_out(self) -> None:
        with self.connect() as client:
            self.assertEqual(self.ask(client, "/api/eval", b'{"expression":"7"}', JSON).status, 200)
            slow = []
            for _ in range(40):
                slow.append(Connection(self.http.port))
                slow[-1].send(b"GET /he")
            self.assertEqual(self.ask(client, "/api/eval", b'{"expression":"7"}', JSON).status, 200)
            self.assertEqual(self.command("eval", {"expression": "8"}).json(), {"value": 8})
            for connection in slow:
                connection.close()
        self.wait_until(lambda: not self.http._connections, "all have gone")

    def test_all_connections_in_use(self) -> None:
        busy = [self.connect() for _ in range(3)]
        sleeping = b'{"expression":"import time; await __import__(\\"asyncio\\").sleep(1.5)"}'
        for connection in busy:
            connection.send(self.request_bytes("/api/eval", sleeping, JSON))
        self.wait_until(lambda: len(self.server.default_client.running) == 3, "three calls run")
        response = self.command("eval", {"expression": "1"})
        self.assertEqual((response.status, response.headers["retry-after"]), (503, "1"))
        for connection in busy:
            self.assertEqual(connection.read_response().status, 200)
        # Those have answered just now and are left alone; one that rested for a second makes room.
        self.assertEqual(self.command("eval", {"expression": "1"}).status, 503)
        time.sleep(1.1)
        self.assertEqual(self.command("eval", {"expression": "1"}).status, 200)


class WithoutToken(HttpTestCase):
    bootstrap = {"auth": False}

    def test_no_token_is_asked_for(self) -> None:
        with self.connect() as connection:
            self.assertEqual(
                self.ask(connection, "/api/eval", b'{"expression":"7"}', JSON, token=None).json(),
                {"value": 7},
            )
            self.assertEqual(
                self.ask(connection, "/api/eval", b'{"expression":"7"}', JSON, "Origin: null").status, 403
            )


class Closing(unittest.TestCase):
    def test_close_ends_connections(self) -> None:
        HttpTestCase.setUpClass()
        try:
            port = HttpTestCase.http.port
            with Connection(port) as connection:
                connection.send(b"GET")
                HttpTestCase.http.close()
                self.assertTrue(connection.is_closed_by_server())
            with self.assertRaises(ConnectionRefusedError):
                Connection(port)
        finally:
            HttpTestCase.tearDownClass()

    def test_abandoning_lets_blocked_writers_go(self) -> None:
        exchange = Exchange(1, 10)
        writer = threading.Thread(target=lambda: exchange.event(b'"' + b"x" * 100 + b'"'))
        writer.start()
        self.assertTrue(exchange.wait(5))
        writer.join(0.05)
        self.assertTrue(writer.is_alive(), "it should wait for a reader")
        exchange.abandon()
        writer.join(5)
        self.assertFalse(writer.is_alive())


if __name__ == "__main__":
    unittest.main()
