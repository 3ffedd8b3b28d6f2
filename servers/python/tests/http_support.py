"""A real HTTP server in this process, and a client so plain that it can send what no client should."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import sys
import threading
import time
import unittest
from types import SimpleNamespace

from beep_host.http_server import HttpLimits, HttpServer
from beep_host.output import CallStream
from beep_host.server import Server

TOKEN = "0123456789abcdef" * 4


class Response:
    """One answer: status, header fields in lower case, body without its framing."""

    def __init__(self, status: int, headers: dict, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> object:
        return json.loads(self.body)

    def frames(self) -> list:
        """The messages of a row of frames, each with its parts when it has some."""
        return frames_of(self.body)


# Far more than anything takes: what hangs is to end, what is slow on a busy machine is not.
PATIENCE_SECONDS = 30


class Connection:
    """One connection on which anything can be sent."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        self.file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_response(self, has_body: bool = True) -> Response:
        response = self.read_head()
        if has_body:
            response.body = self._read_body(response.status, response.headers)
        return response

    def read_head(self) -> Response:
        """An answer up to its body."""
        line = self.file.readline()
        if not line:
            raise EOFError("the server closed the connection")
        status = int(line.split(b" ")[1])
        headers = {}
        while True:
            field = self.file.readline().rstrip(b"\r\n").decode("latin-1")
            if not field:
                break
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip()
        return Response(status, headers, b"")

    def read_chunk(self) -> bytes:
        """The next chunk of a body in chunks; the last one is empty."""
        data = self.file.read(int(self.file.readline(), 16))
        assert self.file.readline() == b"\r\n"
        return data

    def _read_body(self, status: int, headers: dict) -> bytes:
        if status == 100:
            return b""
        if headers.get("transfer-encoding") == "chunked":
            return b"".join(iter(self.read_chunk, b""))
        if "content-length" in headers:
            return self.file.read(int(headers["content-length"]))
        return self.file.read()

    def is_closed_by_server(self) -> bool:
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class HttpTestCase(unittest.TestCase):
    """Has a server of its own for all of its tests."""

    bootstrap: dict = {}
    limits: dict = {}
    server_type: type = HttpServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server({"token": TOKEN, **cls.bootstrap})
        # The main thread runs the tests: sessions get threads of their own.
        cls.server.main_thread.claim(lambda state: None, SimpleNamespace(is_closed=False))
        limits = {"max_body_bytes": cls.server.limits.max_frame_bytes, **cls.limits}
        cls.http = cls.server_type(cls.server, limits=HttpLimits(**limits))
        cls.http.start()
        cls.real_stdout = sys.stdout
        sys.stdout = CallStream("stdout", sys.stdout)

    @classmethod
    def tearDownClass(cls) -> None:
        sys.stdout = cls.real_stdout
        cls.http.close()
        for client in [*cls.server.clients, cls.server.default_client]:
            client.close()

    def connect(self) -> Connection:
        connection = Connection(self.http.port)
        self.addCleanup(connection.close)
        return connection

    def request_bytes(
        self, path: str, body: bytes, *fields: str, method: str = "POST", token: str | None = TOKEN
    ) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{self.http.port}", *fields]
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        if not any(field.lower().startswith(("content-length:", "transfer-encoding:")) for field in fields):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def ask(
        self, connection: Connection, path: str, body: bytes, *fields: str, **options: object
    ) -> Response:
        connection.send(self.request_bytes(path, body, *fields, **options))
        return connection.read_response()

    def command(self, name: str, payload: object, *fields: str, query: str = "") -> Response:
        """A JSON command on a connection of its own, in the shape in which .NET sends one: chunked."""
        body = json.dumps(payload).encode()
        with Connection(self.http.port) as connection:
            return self.ask(
                connection,
                f"/api/{name}{query}",
                chunked(body),
                "Content-Type: application/json; charset=utf-8",
                "Transfer-Encoding: chunked",
                *fields,
            )

    def frames(
        self, connection: Connection, session: str | None, *messages: object, query: str = ""
    ) -> Response:
        fields = ["Content-Type: application/x-beep-frames"] + (
            [f"Beep-Session: {session}"] if session else []
        )
        return self.ask(connection, f"/beep/v1/call{query}", b"".join(map(frame, messages)), *fields)

    def open_session(self, connection: Connection) -> str:
        (reply,) = self.frames(connection, None, [1, "hello", [{"protocol": 1, "client": "test"}]]).frames()
        self.assertEqual(reply[:2], [1, "ok"])
        return reply[2]["session"]

    def wait_until(self, condition: object, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                clients = [*self.server.clients, self.server.default_client]
                running = [(call.operation, call.thread) for client in clients for call in client.running.values()]
                self.fail(
                    f"did not come true within {PATIENCE_SECONDS} s: {what}; "
                    f"{len(self.http._connections)} connections, operations and threads that run: {running}"
                )
            time.sleep(0.01)

    def server_side(self, connection: Connection) -> object:
        """What the server knows of a connection that has had an answer."""
        name = connection.socket.getsockname()
        for one in list(self.http._connections):
            with contextlib.suppress(OSError):  # the client of an earlier test may have gone just now
                if one._socket.getpeername() == name:
                    return one
        self.fail(f"the server knows no connection from {name}")

    def gate(self, session: str | None = None) -> threading.Event:
        """For code in a session that is to wait until the test lets it go on: `gate.wait(30)`."""
        client = self.server.default_client if session is None else self.server.find_client(session)
        made = client.session.namespace["gate"] = threading.Event()
        self.addCleanup(made.set)  # so that what a failed test leaves behind ends
        return made


def chunked(body: bytes, size: int = 16) -> bytes:
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def frames_of(data: bytes) -> list:
    """The messages of a row of whole frames, each with its parts when it has some."""
    found = []
    at = 0
    while at < len(data):
        size, count = struct.unpack_from("<II", data, at)
        lengths = struct.unpack_from(f"<{count}I", data, at + 8)
        at += 8 + 4 * count
        message = json.loads(data[at : at + size])
        at += size
        parts = []
        for length in lengths:
            parts.append(data[at : at + length])
            at += length
        found.append((message, parts) if parts else message)
    return found


def frame(message: object) -> bytes:
    """The frame of a message, or of `(message, parts)`."""
    parts: list = []
    if isinstance(message, tuple):
        message, parts = message
    text = json.dumps(message).encode()
    lengths = struct.pack(f"<{len(parts)}I", *map(len, parts))
    return struct.pack("<II", len(text), len(parts)) + lengths + text + b"".join(parts)


def run_together(count: int, work: object) -> None:
    """Runs `work(number)` on so many threads at once; raises what the first of them raised."""
    errors: list = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
