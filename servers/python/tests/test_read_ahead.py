"""Requests that the thread of their session reads itself, and all that makes it give the connection back."""

from __future__ import annotations

import json
import os
import queue
import socket
import sys
import threading
import time
import unittest
from random import Random
from types import SimpleNamespace
from unittest.mock import patch

from beep_host import bell, read_ahead
from beep_host.connect_server import ConnectServer
from beep_host.execution import ThreadState
from beep_host.limits import Limits
from beep_host.sessions import Session
from tests.http_support import PATIENCE_SECONDS, Connection, HttpTestCase, run_together

JSON = "Content-Type: application/json"
EVALUATE = "/beep.python.v1.PythonService/Evaluate"


class ReadAhead(HttpTestCase):
    server_type = ConnectServer

    def setUp(self) -> None:
        self.server.default_client.session.namespace.clear()

    def request(self, code: str, *fields: str, path: str = EVALUATE) -> bytes:
        # One length, so one head for all: only what was seen before is read ahead.
        return self.request_bytes(path, json.dumps({"code": code}).encode().ljust(200), JSON, *fields)

    def evaluate(self, connection: Connection, code: str, *fields: str) -> object:
        connection.send(self.request(code, *fields))
        return self.value(connection)

    def value(self, connection: Connection) -> object:
        return connection.read_response().json()["value"]

    def lent(self) -> Connection:
        """A connection that the session's thread reads, as soon as an answer came in time. On a busy machine the first may not."""
        connection = self.connect()
        self.evaluate(connection, "1")
        reading = self.server_side(connection)._reading

        def is_read() -> bool:
            self.evaluate(connection, "1")
            return reading.is_worthwhile

        self.wait_until(is_read, "the session's thread reads the connection")
        return connection

    def test_many_in_a_row_run_on_one_thread(self) -> None:
        with self.connect() as connection:
            code = "import threading; str(threading.get_ident())"
            self.assertEqual(len({self.evaluate(connection, code)["text"] for _ in range(50)}), 1)

    def test_requests_that_come_together_are_answered_in_order(self) -> None:
        with self.lent() as connection:
            connection.send(b"".join([self.request(str(number)) for number in range(100)]))
            for number in range(100):
                self.assertEqual(self.value(connection), {"integer": str(number)})

    def test_a_request_in_pieces(self) -> None:
        data = self.request("5")
        for cut in (1, 30, data.index(b"\r\n\r\n") + 2, data.index(b"\r\n\r\n") + 4, len(data) - 1):
            with self.subTest(cut=cut), self.lent() as connection:
                connection.send(data[:cut])
                with self.connect() as beside:  # the session's thread does not wait for the rest
                    self.assertEqual(self.evaluate(beside, "6"), {"integer": "6"})
                connection.send(data[cut:])
                self.assertEqual(self.value(connection), {"integer": "5"})

    def test_other_requests_in_between(self) -> None:
        with self.lent() as connection:
            connection.send(self.request_bytes("/health", b"", method="GET"))
            self.assertEqual(connection.read_response().json(), {"status": "ok"})
            connection.send(self.request("7", "X-New: yes"))
            self.assertEqual(self.value(connection), {"integer": "7"})
            connection.send(self.request_bytes(EVALUATE, b"{", JSON))
            self.assertEqual(connection.read_response().json()["code"], "invalid_argument")
            connection.send(self.request("8"))
            self.assertEqual(self.value(connection), {"integer": "8"})

    def test_what_is_refused_is_refused_as_ever(self) -> None:
        for data, status in (
            (b"GET / HTTP/1.1\nHost: x\n\n", 400),
            (self.request_bytes("/no", b"", JSON), 404),
            (self.request_bytes(EVALUATE, b"{}", JSON, token="0" * 64), 401),
            (self.request_bytes(EVALUATE, b"{}", JSON, "Host: other"), 400),
            (self.request("1").replace(b"localhost", b"elsewhere"), 421),
        ):
            with self.subTest(status=status), self.lent() as connection:
                connection.send(data)
                self.assertEqual(connection.read_response().status, status)
                self.assertTrue(connection.is_closed_by_server())

    def test_connections_that_take_turns(self) -> None:
        def ask(number: int) -> None:
            with self.connect() as connection:
                for at in range(200):
                    value = self.evaluate(connection, f"{number} * 1000 + {at}")
                    self.assertEqual(value, {"integer": str(number * 1000 + at)})

        run_together(4, ask)

    def test_a_call_that_takes_long_is_cancelled_when_its_client_goes(self) -> None:
        namespace = self.server.default_client.session.namespace
        began, ended = namespace["began"], namespace["ended"] = threading.Event(), threading.Event()
        connection = self.lent()
        code = "import time\ntry:\n  began.set()\n  while True: time.sleep(0.001)\nfinally: ended.set()"
        connection.send(self.request(code))
        self.assertTrue(began.wait(PATIENCE_SECONDS), "the call did not begin")
        connection.close()
        self.assertTrue(ended.wait(PATIENCE_SECONDS), "the call was not cancelled")
        with self.connect() as beside:
            self.assertEqual(self.evaluate(beside, "1"), {"integer": "1"})

    def test_a_slow_call_does_not_keep_others_from_its_connections_thread(self) -> None:
        with self.lent() as connection:
            reading = self.server_side(connection)._reading
            # Ends when its connection's thread has taken it over.
            self.server.default_client.session.namespace["waits"] = lambda: reading.is_worthwhile
            code = "import time; end = time.monotonic() + 20\nwhile waits() and time.monotonic() < end: time.sleep(0.01)\n3"
            self.assertEqual(self.evaluate(connection, code), {"integer": "3"})
            self.assertFalse(reading.is_worthwhile, "the call was not taken over within 20 s")
            self.assertEqual(self.evaluate(connection, "4"), {"integer": "4"})

    def test_answers_larger_than_what_is_sent_at_once(self) -> None:
        with self.lent() as connection:
            for _ in range(3):
                self.assertEqual(len(self.evaluate(connection, "'x' * 1_000_000")["text"]), 1_000_000)

    def test_errors(self) -> None:
        with self.lent() as connection:
            for _ in range(3):
                connection.send(self.request("1 / 0"))
                self.assertEqual(connection.read_response().json()["code"], "unknown")
            self.assertEqual(self.evaluate(connection, "4"), {"integer": "4"})

    def test_coroutines_and_the_pool_answer_from_elsewhere(self) -> None:
        with self.lent() as connection:
            for code in ("import asyncio; await asyncio.sleep(0, 2)", "2"):
                self.assertEqual(self.evaluate(connection, code), {"integer": "2"})
            body = json.dumps({"code": "2", "options": {"concurrent": True}}).encode().ljust(200)
            for _ in range(3):
                connection.send(self.request_bytes(EVALUATE, body, JSON))
                self.assertEqual(self.value(connection), {"integer": "2"})

    def test_a_call_beside_one_whose_connection_is_read(self) -> None:
        """It rings: nobody waits for the patience of the reader."""
        with self.lent() as first, self.lent() as second:
            for number in range(50):
                connection = (first, second)[number % 2]
                self.assertEqual(self.evaluate(connection, str(number)), {"integer": str(number)})

    def test_everything_at_once(self) -> None:
        def mix(number: int) -> None:
            random = Random(number)
            for _ in range(8):
                with self.connect() as connection:
                    for at in range(random.randrange(1, 40)):
                        self.one_of_many(connection, random, at)
                    if random.random() < 0.5:  # leaves in the middle of a call
                        connection.send(self.request("import time\nfor i in range(9999): time.sleep(0.001)"))

        run_together(6, mix)
        self.wait_until(lambda: not self.http._connections, "all connections are forgotten")
        self.wait_until(lambda: not self.server.default_client.running, "all calls have ended")

    def one_of_many(self, connection: Connection, random: Random, at: int) -> None:
        kind = random.randrange(12)
        expected = {"integer": str(at)}
        if kind == 0:  # about as long as a call may take that is not taken over
            pause = random.choice((0.001, 0.004, 0.005, 0.006, 0.011))
            self.assertEqual(self.evaluate(connection, f"import time; time.sleep({pause}); {at}"), expected)
        elif kind == 1:
            self.assertEqual(self.evaluate(connection, f"import asyncio; await asyncio.sleep(0.001); {at}"), expected)
        elif kind == 2:
            connection.send(b"".join([self.request(str(number)) for number in range(at, at + 5)]))
            for number in range(at, at + 5):
                self.assertEqual(self.value(connection), {"integer": str(number)})
        elif kind == 3:
            data = self.request(str(at))
            cut = random.randrange(1, len(data))
            connection.send(data[:cut])
            time.sleep(random.choice((0, 0.001, 0.007)))
            connection.send(data[cut:])
            self.assertEqual(self.value(connection), expected)
        elif kind == 4:
            time.sleep(random.choice((0.004, 0.005, 0.006)))
        elif kind == 5:
            connection.send(self.request("while True: pass", "Connect-Timeout-Ms: 15"))
            self.assertEqual(connection.read_response().status, 504)
        else:
            self.assertEqual(self.evaluate(connection, str(at)), expected)

    def test_connections_end_with_their_clients(self) -> None:
        for _ in range(20):
            self.lent().close()
        self.wait_until(lambda: not self.http._connections, "all connections are forgotten")


class Closing(HttpTestCase):
    server_type = ConnectServer

    def test_the_end_of_the_server_ends_connections_that_are_read(self) -> None:
        connection = self.connect()
        body = b'{"code":"1"}'
        for _ in range(3):
            self.ask(connection, EVALUATE, body, JSON)
        self.http.close()
        self.server.default_client.close()
        self.assertTrue(connection.is_closed_by_server())
        self.wait_until(lambda: not self.http._connections, "the thread has left")


class ReaderRaces(unittest.TestCase):
    """A session's reader by itself, at moments that its connections and callers seldom meet."""

    def setUp(self) -> None:
        self.queue = queue.SimpleQueue()
        self.reader = read_ahead.Reader(self.queue, SimpleNamespace(ident=-1, running=None))
        self.addCleanup(self.reader.close)

    def reading(self, sock: socket.socket, given_back: list) -> object:
        return SimpleNamespace(
            has_unread=False,
            fileno=sock.fileno,
            give_back=lambda: given_back.append(sock),
            read_next=lambda: self.fail("it read a connection that is closed"),
        )

    def test_a_connection_that_was_closed_while_it_was_lent(self) -> None:
        closed = socket.socket()
        closed.close()
        given_back: list = []
        self.assertTrue(self.reader.take(self.reading(closed, given_back)))
        self.queue.put("call")
        self.assertEqual(self.reader.next(), "call")  # with something in the queue, and ...
        self.assertTrue(self.reader.take(self.reading(closed, given_back)))
        threading.Timer(0.05, self.queue.put, ["later"]).start()
        self.assertEqual(self.reader.next(), "later")  # ... without
        self.assertEqual(given_back, [closed, closed])

    def test_a_caller_rings_before_there_is_a_bell(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        given_back: list = []
        lent = self.reading(ours, given_back)

        def make_pair() -> tuple:
            self.queue.put("call")
            self.reader.ring()
            return socket.socketpair()

        with patch.object(bell, "socketpair", make_pair):
            self.assertTrue(self.reader.take(lent))
            self.assertEqual(self.reader.next(), "call")
        self.assertEqual(given_back, [ours])


class RungReader(unittest.TestCase):
    """A session's reader that waits on a bell, as gRPC's do."""

    def setUp(self) -> None:
        self.queue = queue.SimpleQueue()
        self.reader = read_ahead.Reader(self.queue, SimpleNamespace(ident=-1, running=None), True)
        self.addCleanup(self.reader.close)

    def put(self, call: object) -> None:
        self.queue.put(call)
        self.reader.ring()

    def test_what_comes_before_it_waits_and_while_it_waits(self) -> None:
        self.put("before")
        self.assertEqual(self.reader.next(), "before")
        for number in range(200):
            thread = threading.Thread(target=self.put, args=(number,))
            thread.start()
            self.assertEqual(self.reader.next(), number)
            thread.join()

    def test_a_bell_that_user_code_has_broken(self) -> None:
        self.put("first")
        self.reader.next()
        hammer = self.reader._bell._hammer
        threading.Timer(0.05, hammer.close).start()
        threading.Timer(0.1, self.put, ["second"]).start()
        self.assertEqual(self.reader.next(), "second")
        threading.Timer(0.05, self.put, ["third"]).start()
        self.assertEqual(self.reader.next(), "third")

    @unittest.skipIf(sys.platform == "win32", "sockets are no descriptors there")
    def test_a_bell_whose_descriptors_user_code_has_closed(self) -> None:
        broken = bell.Bell()
        for end in (broken._ear, broken._hammer):
            os.close(end.fileno())
        broken.ring()
        with self.assertRaises(OSError):
            broken.wait()
        broken.close()
        self.assertNotIn(broken, bell._bells)

    def test_user_code_has_set_a_default_timeout(self) -> None:
        socket.setdefaulttimeout(0.01)
        self.addCleanup(socket.setdefaulttimeout, None)
        threading.Timer(0.1, self.put, ["call"]).start()
        self.assertEqual(self.reader.next(), "call")
        self.assertTrue(self.reader._is_rung)

    def test_enough_bells(self) -> None:
        with patch.object(bell, "_MAX_BELLS", 0):
            threading.Timer(0.05, self.put, ["call"]).start()
            self.assertEqual(self.reader.next(), "call")
        self.assertIsNone(self.reader._bell)

    def test_no_sockets_are_left(self) -> None:
        def refuse() -> tuple:
            raise OSError("Too many open files")

        with patch.object(bell, "socketpair", refuse):
            threading.Timer(0.05, self.put, ["call"]).start()
            self.assertEqual(self.reader.next(), "call")


class RungSession(unittest.TestCase):
    """A session whose thread waits on a bell."""

    def run_session(self, session: Session, loop: object) -> None:
        self.thread = threading.Thread(target=lambda: loop(ThreadState(False)), daemon=True)
        self.thread.start()

    def test_nobody_rings_a_bell_that_has_gone(self) -> None:
        """Its descriptor may be another file's a moment later."""
        waits, has_gone = threading.Event(), threading.Event()
        open_when_rung: list = []

        class SlowBell(bell.Bell):
            def wait(self) -> None:
                waits.set()
                super().wait()

            def ring(self) -> None:
                super().ring()  # from here on the thread may end, and ...
                has_gone.wait(0.2)
                open_when_rung.append(self.fileno() >= 0)  # ... not before this

            def close(self) -> None:
                super().close()
                has_gone.set()

        server = SimpleNamespace(rings_sessions=True, limits=Limits(), run_session=self.run_session)
        session = Session(SimpleNamespace(server=server))
        with patch.object(read_ahead, "Bell", SlowBell):
            session._start()
            self.assertTrue(waits.wait(PATIENCE_SECONDS))
            session.close()
            self.thread.join(PATIENCE_SECONDS)
        self.assertEqual(open_when_rung, [True])
        self.assertTrue(has_gone.is_set())

    @unittest.skipUnless(hasattr(os, "fork"), "this system cannot fork")
    def test_the_child_of_a_fork_has_none(self) -> None:
        one = bell.Bell()
        self.addCleanup(one.close)
        pid = os.fork()
        if pid == 0:
            bell.close_in_child()
            os._exit(0 if one.fileno() == -1 and not bell._bells else 1)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertGreaterEqual(one.fileno(), 0)


if __name__ == "__main__":
    unittest.main()
