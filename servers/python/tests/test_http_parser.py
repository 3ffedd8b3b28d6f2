"""The HTTP parser and the policy, without sockets: every cut of the stream, and everything that must be
refused."""

from __future__ import annotations

import unittest

from beep_host.http_parser import HttpError, RequestHead, RequestParser, parse_head
from beep_host.http_policy import HttpPolicy

GET = b"GET /health HTTP/1.1\r\nHost: localhost:5678\r\n\r\n"


def parse_all(stream: bytes, step: int, max_head_bytes: int = 16384, max_body_bytes: int = 1000) -> list:
    """All requests of a stream that arrives in pieces of `step` bytes."""
    parser = RequestParser(max_head_bytes, max_body_bytes)
    found: list = []
    head = None

    def advance() -> None:
        nonlocal head
        while True:
            if head is None:
                head = parser.next_head()
                if head is None:
                    return
            body = parser.next_body()
            if body is None:
                return
            found.append((head, bytes(body)))
            head = None

    for at in range(0, len(stream), step):
        piece = stream[at : at + step]
        target = parser.target()
        if target is not None:
            count = min(len(target), len(piece))
            target[:count] = piece[:count]
            parser.advance(count)
            advance()
            piece = piece[count:]
        if piece:
            parser.feed(piece)
            advance()
    assert parser.is_at_boundary, "the stream ends inside a request"
    return found


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((b"POST /api/eval HTTP/1.1", b"Host: localhost:5678", *lines, b"", body))


class WellFormed(unittest.TestCase):
    def check(self, stream: bytes, *expected: tuple) -> list[RequestHead]:
        for step in (1, 2, 3, 7, len(stream)):
            found = parse_all(stream, step)
            self.assertEqual(
                [(head.method, head.path, body) for head, body in found], list(expected), f"step {step}"
            )
        return [head for head, _ in found]

    def test_no_body(self) -> None:
        (head,) = self.check(GET, (b"GET", b"/health", b""))
        self.assertTrue(head.keeps_alive)
        self.assertFalse(head.has_body)
        self.assertEqual(head.headers, {b"host": b"localhost:5678"})

    def test_content_length(self) -> None:
        self.check(post(b"Content-Length: 5", body=b"hello"), (b"POST", b"/api/eval", b"hello"))
        self.check(post(b"Content-Length: 0"), (b"POST", b"/api/eval", b""))
        self.check(post(b"Content-Length: \t007 ", body=b"1234567"), (b"POST", b"/api/eval", b"1234567"))

    def test_chunked(self) -> None:
        body = b'5\r\nhello\r\n6;name="x"\r\n world\r\n0\r\n\r\n'
        self.check(post(b"Transfer-Encoding: chunked", body=body), (b"POST", b"/api/eval", b"hello world"))
        self.check(post(b"transfer-encoding: Chunked", body=b"0\r\n\r\n"), (b"POST", b"/api/eval", b""))
        self.check(
            post(b"Transfer-Encoding: chunked", body=b"00a\r\n0123456789\r\n000\r\n\r\n"),
            (b"POST", b"/api/eval", b"0123456789"),
        )

    def test_trailers_change_nothing(self) -> None:
        body = b"2\r\nok\r\n0\r\nContent-Length: 99\r\nAuthorization: Bearer x\r\n\r\n"
        (head,) = self.check(post(b"Transfer-Encoding: chunked", body=body), (b"POST", b"/api/eval", b"ok"))
        self.assertNotIn(b"authorization", head.headers)

    def test_pipelined(self) -> None:
        stream = (
            GET
            + post(b"Content-Length: 3", body=b"abc")
            + post(b"Transfer-Encoding: chunked", body=b"1\r\nz\r\n0\r\n\r\n")
            + GET
        )
        self.check(
            stream,
            (b"GET", b"/health", b""),
            (b"POST", b"/api/eval", b"abc"),
            (b"POST", b"/api/eval", b"z"),
            (b"GET", b"/health", b""),
        )

    def test_one_empty_line_before_a_request(self) -> None:
        self.check(b"\r\n" + GET + b"\r\n" + GET, (b"GET", b"/health", b""), (b"GET", b"/health", b""))

    def test_absolute_form(self) -> None:
        (head,) = self.check(
            b"GET http://localhost:5678/health?a=1 HTTP/1.1\r\nHost: localhost:5678\r\n\r\n",
            (b"GET", b"/health", b""),
        )
        self.assertEqual((head.authority, head.query), (b"localhost:5678", b"a=1"))
        self.assertEqual(parse_head(b"GET HTTP://h?q HTTP/1.1\r\nHost: h").path, b"/")
        self.assertEqual(parse_head(b"OPTIONS * HTTP/1.1\r\nHost: h").path, b"*")

    def test_connection(self) -> None:
        def keeps(version: bytes, *lines: bytes) -> bool:
            return parse_head(b"\r\n".join((b"GET / HTTP/" + version, *lines))).keeps_alive

        self.assertTrue(keeps(b"1.1"))
        self.assertFalse(keeps(b"1.1", b"Connection: Close"))
        self.assertFalse(keeps(b"1.1", b"Connection: x", b"Connection: keep-alive, close"))
        self.assertFalse(keeps(b"1.0"))
        self.assertTrue(keeps(b"1.0", b"Connection: Keep-Alive"))

    def test_expectation(self) -> None:
        self.assertTrue(parse_head(b"POST / HTTP/1.1\r\nExpect: 100-Continue").expects_continue)
        self.assertFalse(parse_head(b"POST / HTTP/1.0\r\nExpect: 100-continue").expects_continue)

    def test_large_body_is_read_in_place(self) -> None:
        parser = RequestParser(16384, 1 << 20)
        parser.feed(post(b"Content-Length: 100000", body=b"x" * 10))
        self.assertIsNotNone(parser.next_head())
        self.assertIsNone(parser.next_body())
        target = parser.target()
        self.assertIsNotNone(target)
        self.assertEqual(len(target), 99990)
        target[:] = b"y" * 99990
        parser.advance(99990)
        self.assertEqual(parser.next_body(), b"x" * 10 + b"y" * 99990)
        self.assertTrue(parser.is_at_boundary)


class Refused(unittest.TestCase):
    def check(self, stream: bytes, status: int = 400, **limits: int) -> None:
        for step in (1, 5, len(stream)):
            with self.subTest(stream=stream[:120], step=step):
                with self.assertRaises(HttpError) as caught:
                    parse_all(stream, step, **limits)
                self.assertEqual(caught.exception.status, status, caught.exception.message)

    def test_smuggling(self) -> None:
        chunks = b"0\r\n\r\n"
        self.check(post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=chunks))
        self.check(post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=chunks))
        self.check(post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"))
        self.check(post(b"Content-Length: 5", b"content-length: 6", body=b"hello"))
        self.check(post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=chunks))
        for length in (b"+5", b"-5", b"5,5", b"5, 5", b"0x5", b"5 5", b"5.0", b"", b"five", b"\xb2", b"1_0"):
            self.check(post(b"Content-Length: " + length, body=b"hello"))
        for coding in (
            b"gzip, chunked",
            b"chunked, identity",
            b"xchunked",
            b"chunked;x=1",
            b"identity",
            b"",
            b"\x0bchunked",
            b"chunked, chunked",
        ):
            with self.assertRaises(HttpError):
                parse_all(post(b"Transfer-Encoding: " + coding, body=chunks), 1)
        self.check(b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        self.check(post(b"Content-Length: " + b"9" * 19), 413)

    def test_line_ends(self) -> None:
        self.check(b"GET / HTTP/1.1\nHost: h\n\n")
        self.check(b"GET / HTTP/1.1\r\nHost: h\n\r\n\r\n")
        self.check(b"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n")
        self.check(b"GET / HTTP/1.1\r\nHost: h\r\r\n\r\n")
        self.check(b"\n" + GET)

    def test_header_lines(self) -> None:
        self.check(post(b"X-Folded: a\r\n b"))
        self.check(post(b" Leading: a"))
        self.check(post(b"Content-Length : 5", body=b"hello"))
        self.check(post(b"Content-Length\x0b: 5", body=b"hello"))
        self.check(post(b"no colon"))
        self.check(post(b": no name"))
        self.check(post(b"X: a\x00b"))
        self.check(post(b"X: a\x7fb"))
        self.check(post(b"X(y): a"))
        for name in (b"Host", b"Authorization", b"Content-Type", b"Origin", b"Expect", b"Beep-Session"):
            self.check(post(name + b": a", name + b": a"))
        self.check(post(*[b"X-%d: y" % number for number in range(101)]), 431)

    def test_request_line(self) -> None:
        for line in (
            b"GET  / HTTP/1.1",
            b"GET / HTTP/1.1 ",
            b" GET / HTTP/1.1",
            b"GET\t/ HTTP/1.1",
            b"GET /",
            b"G(T / HTTP/1.1",
            b"GET / http/1.1",
            b"GET / HTTP/11",
            b"GET /\x80 HTTP/1.1",
            b"GET health HTTP/1.1",
            b"GET https://h/ HTTP/1.1",
            b"CONNECT h:1 HTTP/1.1",
            b"GET * HTTP/1.1",
            b"GET /a#b HTTP/1.1",
        ):
            self.check(line + b"\r\nHost: h\r\n\r\n")
        self.check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)
        self.check(b"GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505)
        self.check(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\n" * 20)

    def test_chunks(self) -> None:
        chunked = b"Transfer-Encoding: chunked"
        for body in (
            b"0x5\r\nhello\r\n",
            b"5 \r\nhello\r\n",
            b" 5\r\nhello\r\n",
            b"-1\r\n",
            b"\r\nhello",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloX\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"g\r\n",
            b"5;a\x00\r\nhello\r\n",
            b"5;a\rb\r\nhello\r\n0\r\n\r\n",
            b"1" * 300,
            b"0\r\n folded\r\n\r\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\nX: a\x00\r\n\r\n",
            b"0\r\nX: y\n\r\n",
            b"5;" + b"a" * 300 + b"\r\nhello\r\n0\r\n\r\n",
        ):
            self.check(post(chunked, body=body))
        self.check(post(chunked, body=b"f" * 16 + b"\r\n"), 413)
        self.check(post(chunked, body=b"0\r\n" + b"X: " + b"y" * 20000 + b"\r\n\r\n"))

    def test_limits(self) -> None:
        self.check(b"GET /" + b"a" * 20000, 431)
        self.check(b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n", 431)
        self.check(post(b"Content-Length: 1001", body=b"x" * 1001), 413)
        self.check(
            post(b"Transfer-Encoding: chunked", body=b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n0\r\n\r\n"),
            413,
        )
        self.assertEqual(len(parse_all(post(b"Content-Length: 1000", body=b"x" * 1000), 13)[0][1]), 1000)

    def test_expectation(self) -> None:
        self.check(post(b"Expect: the unexpected"), 417)

    def test_mutations_raise_nothing_else(self) -> None:
        import random

        random.seed(20)
        stream = post(b"Transfer-Encoding: chunked", b"X: y", body=b"5\r\nhello\r\n0\r\nT: r\r\n\r\n") + GET
        refused = 0
        for _ in range(4000):
            mutated = bytearray(stream)
            for _ in range(random.randint(1, 3)):
                mutated[random.randrange(len(mutated))] = random.choice(b"\r\n :;,0159afGx\x00\xff\t")
            try:
                parse_all(bytes(mutated), random.randint(1, 40))
            except HttpError:
                refused += 1
            except AssertionError:
                pass  # the stream was cut short by a length that grew
        self.assertGreater(refused, 1000)


class Policy(unittest.TestCase):
    policy = HttpPolicy(
        5678, "secret", ["box.example:5678"], ["http://app.example"], ["eval", "module-available"]
    )

    def judge(self, line: bytes, *lines: bytes) -> int:
        try:
            self.policy.judge(parse_head(b"\r\n".join((line + b" HTTP/1.1", *lines))))
        except HttpError as error:
            if error.status == 401:
                self.assertEqual(error.headers, (("WWW-Authenticate", "Bearer"),))
            if error.status == 405:
                self.assertEqual(error.headers[0][0], "Allow")
            return error.status
        return 200

    def test_host(self) -> None:
        for host in (
            b"127.0.0.1:5678",
            b"localhost:5678",
            b"LocalHost:5678",
            b"[::1]:5678",
            b"box.example:5678",
        ):
            self.assertEqual(self.judge(b"GET /health", b"Host: " + host), 200, host)
        for host in (
            b"evil.com",
            b"evil.com:5678",
            b"localhost",
            b"localhost:5679",
            b"localhost:05678",
            b"localhost.:5678",
            b"127.0.0.1",
            b"127.1:5678",
            b"2130706433:5678",
            b"0.0.0.0:5678",
            b"[::]:5678",
            b"::1:5678",
            b"127.0.0.1:5678 ,x",
            b"localhost:5678@evil.com",
            b"evil@localhost:5678",
            b"127.0.0.1.nip.io:5678",
            b"localhost:5678.evil.com",
            b"",
            b"localhost :5678",
            b"[::ffff:127.0.0.1]:5678",
            b"localhost:5678/",
            b"127.0.0.2:5678",
            b"http://localhost:5678",
        ):
            self.assertEqual(self.judge(b"GET /health", b"Host: " + host), 421, host)
        self.assertEqual(self.judge(b"GET /health"), 400)
        self.assertEqual(self.judge(b"GET http://evil.com/health", b"Host: localhost:5678"), 421)
        self.assertEqual(self.judge(b"GET http://localhost:5678/health", b"Host: evil.com"), 421)
        self.assertEqual(self.judge(b"GET http://localhost:5678/health", b"Host: localhost:5678"), 200)

    def test_port_80_may_be_left_out(self) -> None:
        HttpPolicy(80, None).judge(parse_head(b"GET /health HTTP/1.1\r\nHost: localhost"))

    def test_web_pages(self) -> None:
        host = b"Host: localhost:5678"
        self.assertEqual(self.judge(b"GET /health", host, b"Origin: http://localhost:5678"), 403)
        self.assertEqual(self.judge(b"GET /health", host, b"Origin: null"), 403)
        self.assertEqual(self.judge(b"GET /health", host, b"Origin: http://app.example"), 200)
        self.assertEqual(self.judge(b"GET /health", host, b"Sec-Fetch-Site: cross-site"), 403)
        self.assertEqual(self.judge(b"GET /health", host, b"Sec-Fetch-Site: none"), 200)
        self.assertEqual(self.judge(b"OPTIONS /api/eval", host), 403)
        self.assertEqual(self.judge(b"OPTIONS *", host), 403)

    def test_token(self) -> None:
        host = b"Host: localhost:5678"
        kind = b"Content-Type: application/json"
        for value in (b"Bearer secret", b"bearer secret", b"Bearer  secret "):
            self.assertEqual(
                self.judge(b"POST /api/eval", host, kind, b"Authorization: " + value), 200, value
            )
        for value in (
            b"Bearer Secret",
            b"Bearer secre",
            b"Bearer secrets",
            b"Bearer",
            b"secret",
            b"Basic secret",
            b"",
            b"Bearer \xff",
            b"Bearer\tsecret",
        ):
            self.assertEqual(
                self.judge(b"POST /api/eval", host, kind, b"Authorization: " + value), 401, value
            )
        self.assertEqual(self.judge(b"POST /api/eval?token=secret", host, kind), 401)
        self.assertEqual(self.judge(b"POST /nowhere", host, kind), 401)
        self.assertEqual(self.judge(b"GET /health", host), 200)

    def test_routes(self) -> None:
        common = (b"Host: localhost:5678", b"Authorization: Bearer secret")
        kind = b"Content-Type: application/json; charset=utf-8"
        self.assertEqual(self.judge(b"POST /api/module-available", *common, kind), 200)
        self.assertEqual(self.judge(b"POST /api/module_available", *common, kind), 404)
        self.assertEqual(self.judge(b"POST /api/eval/", *common, kind), 404)
        self.assertEqual(self.judge(b"POST /api/%65val", *common, kind), 404)
        self.assertEqual(self.judge(b"POST /", *common, kind), 404)
        self.assertEqual(self.judge(b"GET /api/eval", *common), 405)
        self.assertEqual(self.judge(b"POST /health", *common), 405)
        self.assertEqual(self.judge(b"HEAD /health", *common), 200)
        self.assertEqual(self.judge(b"POST /api/eval", *common), 415)
        self.assertEqual(self.judge(b"POST /api/eval", *common, b"Content-Type: text/plain"), 415)
        self.assertEqual(self.judge(b"POST /beep/v1/call", *common, kind), 415)
        self.assertEqual(
            self.judge(b"POST /beep/v1/call", *common, b"Content-Type: application/x-beep-frames"), 200
        )

    def test_without_token(self) -> None:
        policy = HttpPolicy(5678, None, commands=["eval"])
        policy.judge(
            parse_head(b"POST /api/eval HTTP/1.1\r\nHost: localhost:5678\r\nContent-Type: application/json")
        )


if __name__ == "__main__":
    unittest.main()
