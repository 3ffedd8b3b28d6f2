"""The HTTP server by raw sockets: what it must refuse, and what it must understand."""

from __future__ import annotations

import time
import unittest
from unittest.mock import patch

from beep_host import http_connection
from tests.http_support import PATIENCE_SECONDS, TOKEN, Connection, HttpTestCase, chunked, frame, run_together

JSON = "Content-Type: application/json"


class Refusals(HttpTestCase):
    bootstrap = {"limits": {"maxFrameBytes": 100_000}}
    limits = {"refused_token_delay_ms": 20}

    def refused(self, data: bytes, status: int) -> object:
        """Sends bytes, reads the refusal, and finds the connection closed: nothing after it may be read."""
        with self.subTest(data=data[:100]), Connection(self.http.port) as connection:
            connection.send(data + self.request_bytes("/health", b"", method="GET"))
            response = connection.read_response()
            self.assertEqual(response.status, status, response.body)
            self.assertEqual(response.headers["connection"], "close")
            self.assertNotIn("access-control-allow-origin", response.headers)
            self.assertTrue(connection.is_closed_by_server())
            self.assertEqual(set(response.json()) - {"hint"}, {"error", "type", "traceback", "code"})
            return response

    def test_smuggling(self) -> None:
        body = b'{"expression":"1"}'
        length = f"Content-Length: {len(body)}"
        for fields in (
            (length, "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", length),
            (length, length),
            (length, "content-length: 3"),
            (f"Content-Length: +{len(body)}",),
            (f"Content-Length: {len(body)}, {len(body)}",),
            ("Content-Length : 5",),
            ("Transfer-Encoding : chunked",),
            (length, "X: a\r\n folded"),
        ):
            self.refused(self.request_bytes("/api/eval", body, JSON, *fields), 400)
        for coding in ("gzip, chunked", "xchunked", "identity"):
            self.refused(
                self.request_bytes("/api/eval", b"0\r\n\r\n", JSON, f"Transfer-Encoding: {coding}"), 501
            )
        self.refused(b"GET /health HTTP/1.1\nHost: localhost:%d\n\n" % self.http.port, 400)
        self.refused(self.request_bytes("/api/eval", b"zz\r\n", JSON, "Transfer-Encoding: chunked"), 400)

    def test_hosts(self) -> None:
        for host in (
            "evil.com",
            f"evil.com:{self.http.port}",
            "localhost",
            f"localhost:{self.http.port + 1}",
        ):
            self.refused(f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), 421)
        self.refused(b"GET /health HTTP/1.1\r\n\r\n", 400)
        self.refused(
            b"GET http://evil.com/health HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % self.http.port, 421
        )

    def test_web_pages(self) -> None:
        self.refused(self.request_bytes("/api/eval", b"{}", JSON, "Origin: http://localhost"), 403)
        self.refused(self.request_bytes("/health", b"", "Sec-Fetch-Site: same-site", method="GET"), 403)
        self.refused(
            self.request_bytes("/api/eval", b"", "Access-Control-Request-Method: POST", method="OPTIONS"), 403
        )

    def test_tokens(self) -> None:
        began = time.monotonic()
        before = self.server.refused_tokens.count
        for token in (None, "", TOKEN[:-1], TOKEN + "0", TOKEN.upper()):
            response = self.refused(
                self.request_bytes("/api/eval", b'{"expression":"1"}', JSON, token=token), 401
            )
            self.assertEqual(response.headers["www-authenticate"], "Bearer")
            self.assertNotIn(TOKEN.encode(), response.body)
        self.refused(self.request_bytes(f"/api/eval?token={TOKEN}", b"{}", JSON, token=None), 401)
        self.assertEqual(self.server.refused_tokens.count - before, 6)
        self.assertGreaterEqual(time.monotonic() - began, 6 * 0.02)

    def test_routes(self) -> None:
        self.refused(self.request_bytes("/api/nothing", b"{}", JSON), 404)
        self.refused(self.request_bytes("/", b"", method="GET"), 404)
        self.assertEqual(
            self.refused(self.request_bytes("/api/eval", b"", method="GET"), 405).headers["allow"], "POST"
        )
        self.assertEqual(self.refused(self.request_bytes("/health", b""), 405).headers["allow"], "GET, HEAD")
        self.refused(self.request_bytes("/api/eval", b"{}", "Content-Type: text/plain"), 415)
        self.refused(self.request_bytes("/api/eval", b"{}"), 415)

    def test_sizes(self) -> None:
        self.refused(self.request_bytes("/api/eval", b"", JSON, "Content-Length: 100001"), 413)
        self.refused(
            self.request_bytes(
                "/api/eval", chunked(b"x" * 100_001, 9999), JSON, "Transfer-Encoding: chunked"
            ),
            413,
        )
        self.refused(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n", 431)
        self.refused(
            self.request_bytes("/health", b"", *[f"X-{n}: y" for n in range(120)], method="GET"), 431
        )

    def test_an_upload_that_is_refused_still_reads_the_answer(self) -> None:
        # Not cut off when this client is held up while it sends.
        with patch.object(http_connection, "_LINGER_SECONDS", PATIENCE_SECONDS), Connection(self.http.port) as connection:
            connection.send(self.request_bytes("/api/eval", b"", JSON, "Content-Length: 5000000"))
            for _ in range(10):
                connection.send(b"x" * 50_000)
            self.assertEqual(connection.read_response().status, 413)

    def test_broken_frames(self) -> None:
        kind = "Content-Type: application/x-beep-frames"
        hello = [1, "hello", [{"protocol": 1, "client": "t"}]]
        good = frame(hello)
        for body in (
            b"",
            b"abc",
            good[:-1],
            good + b"\0",
            b"\xff\xff\xff\xff\0\0\0\0",
            frame(hello) * 2,
            frame([1, "hello", []]),
            frame({"not": "a list"}),
            frame([1, 2, 3]),
            b"\3\0\0\0\0\0\0\0{]}",
            frame([2, "evaluate", ["1"]]),
        ):
            self.refused(self.request_bytes("/beep/v1/call", body, kind), 400)
        self.refused(self.request_bytes("/beep/v1/call", b"\1\0\0\0\xff\xff\xff\xff", kind), 413)
        response = self.refused(
            self.request_bytes("/beep/v1/call", frame([2, "evaluate", ["1"]]), kind, "Beep-Session: unknown"),
            404,
        )
        self.assertEqual(response.json()["code"], "stale-handle")

    def test_random_bytes_leave_the_server_well(self) -> None:
        import random

        random.seed(5)
        for _ in range(50):
            with Connection(self.http.port) as connection:
                connection.send(bytes(random.randrange(256) for _ in range(200)) + b"\r\n\r\n")
                try:
                    self.assertGreaterEqual(connection.read_response().status, 400)
                except (EOFError, OSError):
                    pass  # a close without words is as good
        self.assertEqual(self.command("eval", {"expression": "1+1"}).json(), {"value": 2})


class WellFormed(HttpTestCase):
    # More than all clients at once: beyond it one of them may be dropped before it has shown its token.
    limits = {"max_unauthenticated": 64}

    def test_health_without_token(self) -> None:
        with self.connect() as connection:
            for _ in range(3):  # kept alive
                response = self.ask(connection, "/health", b"", method="GET", token=None)
                self.assertEqual((response.status, response.json()), (200, {"status": "ok"}))
            connection.send(self.request_bytes("/health", b"", method="HEAD", token=None))
            response = connection.read_response(has_body=False)
            self.assertEqual((response.status, response.headers["content-length"]), (200, "15"))

    def test_absolute_form(self) -> None:
        with self.connect() as connection:
            response = self.ask(connection, f"http://localhost:{self.http.port}/health", b"", method="GET")
            self.assertEqual(response.status, 200)

    def test_old_clients(self) -> None:
        host = f"Host: localhost:{self.http.port}"
        with self.connect() as connection:
            connection.send(f"GET /health HTTP/1.0\r\n{host}\r\n\r\n".encode())
            response = connection.read_response()
            self.assertEqual((response.status, response.headers["connection"]), (200, "close"))
            self.assertTrue(connection.is_closed_by_server())
        with self.connect() as connection:
            for _ in range(2):
                connection.send(f"GET /health HTTP/1.0\r\n{host}\r\nConnection: keep-alive\r\n\r\n".encode())
                self.assertEqual(connection.read_response().headers["connection"], "keep-alive")

    def test_close_is_obeyed(self) -> None:
        with self.connect() as connection:
            self.assertEqual(
                self.ask(connection, "/health", b"", "Connection: close", method="GET").status, 200
            )
            self.assertTrue(connection.is_closed_by_server())

    def test_expect_continue(self) -> None:
        body = b'{"expression":"40+2"}'
        with self.connect() as connection:
            connection.send(
                self.request_bytes(
                    "/api/eval", b"", JSON, f"Content-Length: {len(body)}", "Expect: 100-continue"
                )
            )
            self.assertEqual(connection.read_response().status, 100)
            connection.send(body)
            self.assertEqual(connection.read_response().json(), {"value": 42})

    def test_expect_continue_is_refused_before_the_body(self) -> None:
        with self.connect() as connection:
            connection.send(self.request_bytes("/api/eval", b"", "Content-Length: 9", "Expect: 100-continue"))
            self.assertEqual(connection.read_response().status, 415)

    def test_byte_by_byte(self) -> None:
        body = b'{"expression":"6*7"}'
        data = self.request_bytes("/api/eval", chunked(body, 3), JSON, "Transfer-Encoding: chunked")
        with self.connect() as connection:
            for at in range(len(data)):
                connection.send(data[at : at + 1])
            self.assertEqual(connection.read_response().json(), {"value": 42})

    def test_pipelining(self) -> None:
        with self.connect() as connection:
            bodies = [b'{"expression":"%d"}' % number for number in range(50)]
            connection.send(b"".join(self.request_bytes("/api/eval", body, JSON) for body in bodies))
            for number in range(50):
                self.assertEqual(connection.read_response().json(), {"value": number})

    def test_pipelining_behind_a_slow_call(self) -> None:
        with self.connect() as connection:
            connection.send(
                self.request_bytes("/api/eval", b'{"expression":"import time; time.sleep(0.2); 1"}', JSON)
            )
            time.sleep(0.1)
            connection.send(self.request_bytes("/api/eval", b'{"expression":"2"}', JSON))
            self.assertEqual(connection.read_response().json(), {"value": 1})
            self.assertEqual(connection.read_response().json(), {"value": 2})

    def test_large_bodies(self) -> None:
        text = "é" * 1_500_000
        for fields, body in (
            ((), ('{"expression":"len(t)","locals":{"t":"%s"}}' % text).encode()),
            (
                ("Transfer-Encoding: chunked",),
                chunked(('{"expression":"len(t)","locals":{"t":"%s"}}' % text).encode(), 70_000),
            ),
        ):
            with self.connect() as connection:
                self.assertEqual(
                    self.ask(connection, "/api/eval", body, JSON, *fields).json(), {"value": 1_500_000}
                )

    def test_forty_clients_at_once(self) -> None:
        def work(number: int) -> None:
            with Connection(self.http.port) as connection:
                session = self.open_session(connection)
                for call_id in range(2, 12):
                    (reply,) = self.frames(
                        connection, session, [call_id, "evaluate", [f"x = {number}; x * 1000 + {call_id}"]]
                    ).frames()
                    self.assertEqual(reply, [call_id, "ok", number * 1000 + call_id])
                self.frames(connection, session, [12, "close_session", []])

        run_together(40, work)


if __name__ == "__main__":
    unittest.main()
