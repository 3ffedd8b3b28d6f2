"""The HTTP server by raw sockets: hostile requests, slow clients, limits, and the frames of our own backend."""

from __future__ import annotations

import threading
import time
import unittest

from beep_host.http_exchange import Exchange
from tests.http_support import TOKEN, Connection, HttpTestCase, chunked, frame, run_together

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
            (length, "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", length), (length, length),
            (length, "content-length: 3"), (f"Content-Length: +{len(body)}",), (f"Content-Length: {len(body)}, {len(body)}",),
            ("Content-Length : 5",), ("Transfer-Encoding : chunked",), (length, "X: a\r\n folded"),
        ):
            self.refused(self.request_bytes("/api/eval", body, JSON, *fields), 400)
        for coding in ("gzip, chunked", "xchunked", "identity"):
            self.refused(self.request_bytes("/api/eval", b"0\r\n\r\n", JSON, f"Transfer-Encoding: {coding}"), 501)
        self.refused(b"GET /health HTTP/1.1\nHost: localhost:%d\n\n" % self.http.port, 400)
        self.refused(self.request_bytes("/api/eval", b"zz\r\n", JSON, "Transfer-Encoding: chunked"), 400)

    def test_hosts(self) -> None:
        for host in ("evil.com", f"evil.com:{self.http.port}", "localhost", f"localhost:{self.http.port + 1}"):
            self.refused(f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), 421)
        self.refused(b"GET /health HTTP/1.1\r\n\r\n", 400)
        self.refused(b"GET http://evil.com/health HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % self.http.port, 421)

    def test_web_pages(self) -> None:
        self.refused(self.request_bytes("/api/eval", b"{}", JSON, "Origin: http://localhost"), 403)
        self.refused(self.request_bytes("/health", b"", "Sec-Fetch-Site: same-site", method="GET"), 403)
        self.refused(self.request_bytes("/api/eval", b"", "Access-Control-Request-Method: POST", method="OPTIONS"), 403)

    def test_tokens(self) -> None:
        began = time.monotonic()
        before = self.http.refused_tokens
        for token in (None, "", TOKEN[:-1], TOKEN + "0", TOKEN.upper()):
            response = self.refused(self.request_bytes("/api/eval", b'{"expression":"1"}', JSON, token=token), 401)
            self.assertEqual(response.headers["www-authenticate"], "Bearer")
            self.assertNotIn(TOKEN.encode(), response.body)
        self.refused(self.request_bytes(f"/api/eval?token={TOKEN}", b"{}", JSON, token=None), 401)
        self.assertEqual(self.http.refused_tokens - before, 6)
        self.assertGreaterEqual(time.monotonic() - began, 6 * 0.02)

    def test_routes(self) -> None:
        self.refused(self.request_bytes("/api/nothing", b"{}", JSON), 404)
        self.refused(self.request_bytes("/", b"", method="GET"), 404)
        self.assertEqual(self.refused(self.request_bytes("/api/eval", b"", method="GET"), 405).headers["allow"], "POST")
        self.assertEqual(self.refused(self.request_bytes("/health", b""), 405).headers["allow"], "GET, HEAD")
        self.refused(self.request_bytes("/api/eval", b"{}", "Content-Type: text/plain"), 415)
        self.refused(self.request_bytes("/api/eval", b"{}"), 415)

    def test_sizes(self) -> None:
        self.refused(self.request_bytes("/api/eval", b"", JSON, "Content-Length: 100001"), 413)
        self.refused(self.request_bytes("/api/eval", chunked(b"x" * 100_001, 9999), JSON, "Transfer-Encoding: chunked"), 413)
        self.refused(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n", 431)
        self.refused(self.request_bytes("/health", b"", *[f"X-{n}: y" for n in range(120)], method="GET"), 431)

    def test_an_upload_that_is_refused_still_reads_the_answer(self) -> None:
        with Connection(self.http.port) as connection:
            connection.send(self.request_bytes("/api/eval", b"", JSON, "Content-Length: 5000000"))
            for _ in range(10):
                connection.send(b"x" * 50_000)
            self.assertEqual(connection.read_response().status, 413)

    def test_broken_frames(self) -> None:
        kind = "Content-Type: application/x-beep-frames"
        hello = [1, "hello", [{"protocol": 1, "client": "t"}]]
        good = frame(hello)
        for body in (b"", b"abc", good[:-1], good + b"\0", b"\xff\xff\xff\xff\0\0\0\0", frame(hello) * 2, frame([1, "hello", []]),
                     frame({"not": "a list"}), frame([1, 2, 3]), b"\3\0\0\0\0\0\0\0{]}", frame([2, "evaluate", ["1"]])):
            self.refused(self.request_bytes("/beep/v1/call", body, kind), 400)
        self.refused(self.request_bytes("/beep/v1/call", b"\1\0\0\0\xff\xff\xff\xff", kind), 413)
        response = self.refused(
            self.request_bytes("/beep/v1/call", frame([2, "evaluate", ["1"]]), kind, "Beep-Session: unknown"), 404
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
            self.assertEqual(self.ask(connection, "/health", b"", "Connection: close", method="GET").status, 200)
            self.assertTrue(connection.is_closed_by_server())

    def test_expect_continue(self) -> None:
        body = b'{"expression":"40+2"}'
        with self.connect() as connection:
            connection.send(self.request_bytes("/api/eval", b"", JSON, f"Content-Length: {len(body)}", "Expect: 100-continue"))
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
                connection.send(data[at:at + 1])
            self.assertEqual(connection.read_response().json(), {"value": 42})

    def test_pipelining(self) -> None:
        with self.connect() as connection:
            bodies = [b'{"expression":"%d"}' % number for number in range(50)]
            connection.send(b"".join(self.request_bytes("/api/eval", body, JSON) for body in bodies))
            for number in range(50):
                self.assertEqual(connection.read_response().json(), {"value": number})

    def test_pipelining_behind_a_slow_call(self) -> None:
        with self.connect() as connection:
            connection.send(self.request_bytes("/api/eval", b'{"expression":"import time; time.sleep(0.2); 1"}', JSON))
            time.sleep(0.1)
            connection.send(self.request_bytes("/api/eval", b'{"expression":"2"}', JSON))
            self.assertEqual(connection.read_response().json(), {"value": 1})
            self.assertEqual(connection.read_response().json(), {"value": 2})

    def test_large_bodies(self) -> None:
        text = "é" * 1_500_000
        for fields, body in (
            ((), ('{"expression":"len(t)","locals":{"t":"%s"}}' % text).encode()),
            (("Transfer-Encoding: chunked",), chunked(('{"expression":"len(t)","locals":{"t":"%s"}}' % text).encode(), 70_000)),
        ):
            with self.connect() as connection:
                self.assertEqual(self.ask(connection, "/api/eval", body, JSON, *fields).json(), {"value": 1_500_000})

    def test_forty_clients_at_once(self) -> None:
        def work(number: int) -> None:
            with Connection(self.http.port) as connection:
                session = self.open_session(connection)
                for call_id in range(2, 12):
                    (reply,) = self.frames(connection, session, [call_id, "evaluate", [f"x = {number}; x * 1000 + {call_id}"]]).frames()
                    self.assertEqual(reply, [call_id, "ok", number * 1000 + call_id])
                self.frames(connection, session, [12, "close_session", []])

        run_together(40, work)


class Frames(HttpTestCase):
    def test_session(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            self.assertEqual(self.frames(connection, session, [2, "evaluate", ["x = 5"]]).frames(), [[2, "ok", None]])
            self.assertEqual(self.frames(connection, session, [3, "evaluate", ["x"]]).frames(), [[3, "ok", 5]])
            other = self.open_session(connection)
            (reply,) = self.frames(connection, other, [2, "evaluate", ["x"]]).frames()
            self.assertEqual(reply[2]["exception"]["type"], "NameError")
            self.assertEqual(self.frames(connection, session, [4, "close_session", []]).frames(), [[4, "ok", None]])
            self.assertEqual(self.frames(connection, session, [5, "evaluate", ["x"]]).status, 404)

    def test_closed_sessions_leave_nothing(self) -> None:
        import sys

        def modules() -> int:
            return sum(name.startswith("beep_session_") for name in sys.modules)

        before = modules()
        for has_calls in (True, False):
            with self.connect() as connection:
                session = self.open_session(connection)
                if has_calls:
                    self.frames(connection, session, [2, "evaluate", ["1"]])
                self.frames(connection, session, [3, "close_session", []])
        self.wait_until(lambda: modules() == before, "the modules of closed sessions are gone")

    def test_version(self) -> None:
        with self.connect() as connection:
            (reply,) = self.frames(connection, None, [1, "hello", [{"protocol": 99, "client": "t"}]]).frames()
            self.assertEqual((reply[1], reply[2]["code"]), ("error", "version"))
            self.assertIn("99", reply[2]["message"])

    def test_batch(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            response = self.frames(connection, session, *[[n, "evaluate", [f"{n} * 2"]] for n in range(2, 66)])
            self.assertIn("content-length", response.headers)
            self.assertEqual(response.frames(), [[n, "ok", n * 2] for n in range(2, 66)])

    def test_batch_answers_in_the_order_of_completion(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            response = self.frames(
                connection, session,
                [2, "evaluate", ["import asyncio; await asyncio.sleep(0.15); 'late'"]], [3, "evaluate", ["'early'"]],
            )
            self.assertEqual(response.headers["transfer-encoding"], "chunked")
            self.assertEqual(response.frames(), [[3, "ok", "early"], [2, "ok", "late"]])

    def test_parts(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            data = bytes(range(256)) * 2000
            message = [2, "evaluate", ["a[::-1] + b", {"a": {"$": ["bytes", 0]}, "b": {"$": ["bytes", 1]}}], {"tagged": 1}]
            ((reply, parts),) = self.frames(connection, session, (message, [data, b"end"])).frames()
            self.assertEqual(reply, [2, "packed"])
            self.assertIn(data[::-1] + b"end", parts)

    def test_the_head_comes_before_a_slow_reply(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            began = time.monotonic()
            body = frame([2, "evaluate", ["import time; time.sleep(0.4); 1"]])
            connection.send(self.request_bytes(
                "/beep/v1/call", body, "Content-Type: application/x-beep-frames", f"Beep-Session: {session}"
            ))
            self.assertEqual(connection.file.readline(), b"HTTP/1.1 200 OK\r\n")
            self.assertLess(time.monotonic() - began, 0.35)

    def test_output_streams(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            code = "import time; print('one'); time.sleep(0.1); print('two'); 3"
            response = self.frames(connection, session, [2, "evaluate", [code], {"stdout": 1}])
            self.assertEqual(response.headers["transfer-encoding"], "chunked")
            frames = response.frames()
            self.assertEqual("".join(f[2] for f in frames if f[1] == "stdout"), "one\ntwo\n")
            self.assertEqual(frames[-1], [2, "ok", 3])

    def test_output_streams_to_old_clients_until_the_end(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            body = frame([2, "evaluate", ["import time; time.sleep(0.05); 3"]])
            with self.connect() as old:
                old.send(self.request_bytes(
                    "/beep/v1/call", body, "Content-Type: application/x-beep-frames", f"Beep-Session: {session}"
                ).replace(b"HTTP/1.1", b"HTTP/1.0"))
                response = old.read_response()
                self.assertNotIn("transfer-encoding", response.headers)
                self.assertEqual(response.frames(), [[2, "ok", 3]])

    def test_cancel_and_ping_beside_a_call(self) -> None:
        with self.connect() as connection, self.connect() as beside:
            session = self.open_session(connection)
            body = frame([2, "evaluate", ["while True: pass"]])
            connection.send(self.request_bytes(
                "/beep/v1/call", body, "Content-Type: application/x-beep-frames", f"Beep-Session: {session}"
            ))
            self.wait_until(lambda: self.frames(beside, session, [3, "ping", []]).frames() == [[3, "ok", [2]]], "it runs")
            self.assertEqual(self.frames(beside, session, [4, "cancel", [2]]).frames(), [[4, "ok", "stopped"]])
            (reply,) = connection.read_response().frames()
            self.assertEqual((reply[0], reply[1], reply[2]["code"]), (2, "error", "cancelled"))

    def test_a_lost_client_cancels_when_it_asked_for_that(self) -> None:
        for query, goes_on in (("?cancelOnDisconnect=1", False), ("", True)):
            with self.subTest(query=query), self.connect() as beside:
                session = self.open_session(beside)
                body = frame([2, "evaluate", ["import time\nfor _ in range(60): time.sleep(0.01)\ndone = True"]])
                with Connection(self.http.port) as lost:
                    lost.send(self.request_bytes(
                        f"/beep/v1/call{query}", body, "Content-Type: application/x-beep-frames", f"Beep-Session: {session}"
                    ))
                    self.wait_until(lambda: self.frames(beside, session, [3, "ping", []]).frames()[0][2] == [2], "it runs")
                self.wait_until(lambda: self.frames(beside, session, [4, "ping", []]).frames()[0][2] == [], "it ended")
                (reply,) = self.frames(beside, session, [5, "evaluate", ["'done' in globals()"]]).frames()
                self.assertEqual(reply, [5, "ok", goes_on])

    def test_lost_clients_leave_no_thread(self) -> None:
        before = threading.active_count()
        with self.connect() as connection:
            session = self.open_session(connection)
            body = frame([2, "evaluate", ["1"]])
            data = self.request_bytes(
                "/beep/v1/call?cancelOnDisconnect=1", body, "Content-Type: application/x-beep-frames", f"Beep-Session: {session}"
            )
            for number in range(200):
                lost = Connection(self.http.port)
                lost.send(data[:len(data) - number % 60])
                lost.close()
            self.wait_until(lambda: len(self.http._connections) == 1, "all connections but one are forgotten")
            self.assertLessEqual(threading.active_count(), before + 4)


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
                connection.send(body[at:at + 1])
            self.assertEqual(connection.read_response().json(), {"value": 7})

    def test_idle_connections_end(self) -> None:
        with self.connect() as connection:
            self.assertEqual(self.ask(connection, "/api/eval", b'{"expression":"7"}', JSON).status, 200)
            self.assertTrue(connection.is_closed_by_server())

    def test_a_client_that_does_not_read(self) -> None:
        with self.connect() as connection, self.connect() as beside:
            session = self.open_session(beside)
            body = frame([2, "evaluate", ["n = 0\nwhile True:\n    print('x' * 100000)\n    n += 1"], {"stdout": 1}])
            connection.send(self.request_bytes(
                "/beep/v1/call?cancelOnDisconnect=1", body, "Content-Type: application/x-beep-frames", f"Beep-Session: {session}"
            ))
            self.wait_until(lambda: self.server.clients[-1].running, "the call runs")
            # Its output is held back once the buffers are full, then the connection is given up and the call stopped.
            self.wait_until(lambda: not self.server.clients[-1].running, "the call ended", 15)
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
            self.assertEqual(self.ask(connection, "/api/eval", b'{"expression":"7"}', JSON, token=None).json(), {"value": 7})
            self.assertEqual(self.ask(connection, "/api/eval", b'{"expression":"7"}', JSON, "Origin: null").status, 403)


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
