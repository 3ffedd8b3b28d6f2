"""What an HTTP server does about slow clients, too many of them, and its own end."""

from __future__ import annotations

import threading
import time
import unittest
from unittest.mock import patch

from beep_host import http_server
from beep_host.http_exchange import Exchange
from tests.http_support import PATIENCE_SECONDS, Connection, HttpTestCase, frame

JSON = "Content-Type: application/json"


class SlowHeads(HttpTestCase):
    limits = {"head_timeout_ms": 200}

    def test_head_by_drops(self) -> None:
        with self.connect() as connection:
            began = time.monotonic()
            # One field, so that nothing but the time is ever too much.
            connection.send(b"GET /health HTTP/1.1\r\nX: ")
            with self.assertRaises((BrokenPipeError, ConnectionResetError)):
                while time.monotonic() - began < PATIENCE_SECONDS:
                    connection.send(b"y")
                    time.sleep(0.02)

    def test_head_that_stops(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            began = time.monotonic()
            with self.connect() as connection:
                connection.send(b"GET /health HTTP/1.1\r\n")
                # A machine that stalled has kept even the first byte too long: then there is no answer, rightly.
                if time.monotonic() - began > 0.15 and time.monotonic() < deadline:
                    continue
                self.assertEqual(connection.read_response().status, 408)
                self.assertTrue(connection.is_closed_by_server())
                return

    def test_an_answer_that_is_read_late(self) -> None:
        """The time for a head is not the time for the answer, also not for the first."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            began = time.monotonic()
            with self.connect() as connection:
                connection.send(self.request_bytes("/api/eval", b'{"expression":"\'x\' * 30_000_000"}', JSON))
                if time.monotonic() - began > 0.15 and time.monotonic() < deadline:
                    continue  # as above
                time.sleep(0.5)
                self.assertEqual(len(connection.read_response().json()["value"]), 30_000_000)
                return

    def test_silence(self) -> None:
        with self.connect() as connection:
            self.assertTrue(connection.is_closed_by_server())


class SlowBodies(HttpTestCase):
    limits = {"body_stall_ms": 200}

    def test_body_that_stalls(self) -> None:
        for fields in (("Content-Length: 9",), ("Transfer-Encoding: chunked",), ("Content-Length: 90000",)):
            with self.connect() as connection:
                connection.send(self.request_bytes("/api/eval", b"4\r\n", JSON, *fields))
                self.assertEqual(connection.read_response().status, 408)

    def test_body_that_is_slow_but_moves(self) -> None:
        body = b'{"expression":"7"}'
        deadline = time.monotonic() + PATIENCE_SECONDS
        longest = 1.0
        # A machine that stalls has stalled this client, too: then it is refused rightly, which proves nothing.
        while longest > 0.15 and time.monotonic() < deadline:
            longest = 0.0
            response = None
            with self.connect() as connection:
                last = time.monotonic()
                connection.send(self.request_bytes("/api/eval", b"", JSON, f"Content-Length: {len(body)}"))
                try:
                    for at in range(len(body)):
                        time.sleep(0.015)
                        before = time.monotonic()
                        connection.send(body[at : at + 1])
                        longest = max(longest, time.monotonic() - last)
                        last = before
                        if longest > 0.15:
                            break
                    else:
                        response = connection.read_response()
                except (EOFError, BrokenPipeError, ConnectionResetError):
                    longest = max(longest, time.monotonic() - last)
        self.assertIsNotNone(response, f"it was cut off; the longest pause was {longest:.3f} s")
        self.assertEqual(response.json(), {"value": 7}, f"the longest pause was {longest:.3f} s")


class IdleClients(HttpTestCase):
    limits = {"idle_timeout_ms": 300}

    def test_idle_connections_end(self) -> None:
        with self.connect() as connection:
            self.assertEqual(self.ask(connection, "/api/eval", b'{"expression":"7"}', JSON).status, 200)
            self.assertTrue(connection.is_closed_by_server())


class ClientsThatDoNotRead(HttpTestCase):
    limits = {"body_stall_ms": 200}

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
            client = self.server.find_client(session)
            # Its output is held back once the buffers are full; then the connection is given up.
            self.wait_until(
                lambda: "n" in client.session.namespace and not client.running, "the call began and ended"
            )
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
        gate = self.gate()
        waiting = b'{"expression":"import asyncio\\nwhile not gate.is_set(): await asyncio.sleep(0.01)"}'
        for connection in busy:
            connection.send(self.request_bytes("/api/eval", waiting, JSON))
        self.wait_until(lambda: len(self.server.default_client.running) == 3, "three calls run")
        response = self.command("eval", {"expression": "1"})
        self.assertEqual((response.status, response.headers["retry-after"]), (503, "1"))
        gate.set()
        for connection in busy:
            self.assertEqual(connection.read_response().status, 200)
        rested = [self.server_side(connection) for connection in busy]
        self.wait_until(lambda: not any(one.is_busy for one in rested), "they rest")
        # Those have answered just now and are left alone; one that rested for a second makes room.
        ends = [one.idle_since for one in rested]
        with patch.object(http_server, "monotonic", lambda: min(ends) + 0.9):
            self.assertEqual(self.command("eval", {"expression": "1"}).status, 503)
        with patch.object(http_server, "monotonic", lambda: min(ends) + 1.1):
            self.assertEqual(self.command("eval", {"expression": "1"}).status, 200)
        self.assertEqual([one in self.http._connections for one in rested].count(False), 1)
        for connection in busy:
            connection.close()
        self.wait_until(lambda: not self.http._connections, "all have gone")


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
        self.assertTrue(exchange.wait(PATIENCE_SECONDS))
        writer.join(0.05)
        self.assertTrue(writer.is_alive(), "it should wait for a reader")
        exchange.abandon()
        writer.join(PATIENCE_SECONDS)
        self.assertFalse(writer.is_alive())


if __name__ == "__main__":
    unittest.main()
