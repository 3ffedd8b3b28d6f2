"""Our own backend's requests over HTTP: sessions, batches, streams, cancelling, and clients that go away."""

from __future__ import annotations

import sys
import threading
import unittest

from tests.http_support import Connection, HttpTestCase, frame, frames_of

JSON = "Content-Type: application/json"


class Frames(HttpTestCase):
    # What is cancelled is stopped at once, but for a machine that stalls.
    bootstrap = {"limits": {"interruptGraceMs": 30_000}}

    def send_frames(self, connection: Connection, session: str, *messages: object, query: str = "") -> None:
        """Sends a request and reads nothing."""
        connection.send(
            self.request_bytes(
                f"/beep/v1/call{query}",
                b"".join(map(frame, messages)),
                "Content-Type: application/x-beep-frames",
                f"Beep-Session: {session}",
            )
        )

    def test_session(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            self.assertEqual(
                self.frames(connection, session, [2, "evaluate", ["x = 5"]]).frames(), [[2, "ok", None]]
            )
            self.assertEqual(
                self.frames(connection, session, [3, "evaluate", ["x"]]).frames(), [[3, "ok", 5]]
            )
            other = self.open_session(connection)
            (reply,) = self.frames(connection, other, [2, "evaluate", ["x"]]).frames()
            self.assertEqual(reply[2]["exception"]["type"], "NameError")
            self.assertEqual(
                self.frames(connection, session, [4, "close_session", []]).frames(), [[4, "ok", None]]
            )
            self.assertEqual(self.frames(connection, session, [5, "evaluate", ["x"]]).status, 404)

    def test_closed_sessions_leave_nothing(self) -> None:
        def modules() -> set:
            return {name for name in list(sys.modules) if name.startswith("beep_session_")}

        before = modules()
        for has_calls in (True, False):
            with self.connect() as connection:
                session = self.open_session(connection)
                if has_calls:
                    self.frames(connection, session, [2, "evaluate", ["1"]])
                self.frames(connection, session, [3, "close_session", []])
        # Those of earlier tests may go at any time.
        self.wait_until(lambda: modules() <= before, "the modules of closed sessions are gone")

    def test_version(self) -> None:
        with self.connect() as connection:
            (reply,) = self.frames(connection, None, [1, "hello", [{"protocol": 99, "client": "t"}]]).frames()
            self.assertEqual((reply[1], reply[2]["code"]), ("error", "version"))
            self.assertIn("99", reply[2]["message"])

    def test_batch(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            response = self.frames(
                connection, session, *[[n, "evaluate", [f"{n} * 2"]] for n in range(2, 66)]
            )
            self.assertIn("content-length", response.headers)
            self.assertEqual(response.frames(), [[n, "ok", n * 2] for n in range(2, 66)])

    def test_batch_answers_in_the_order_of_completion(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            gate = self.gate(session)
            late = "import asyncio\nwhile not gate.is_set(): await asyncio.sleep(0.001)\n'late'"
            self.send_frames(connection, session, [2, "evaluate", [late]], [3, "evaluate", ["'early'"]])
            self.assertEqual(connection.read_head().headers["transfer-encoding"], "chunked")
            self.assertEqual(frames_of(connection.read_chunk()), [[3, "ok", "early"]])
            gate.set()
            rest = b"".join(iter(connection.read_chunk, b""))
            self.assertEqual(frames_of(rest), [[2, "ok", "late"]])

    def test_parts(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            data = bytes(range(256)) * 2000
            message = [
                2,
                "evaluate",
                ["a[::-1] + b", {"a": {"$": ["bytes", 0]}, "b": {"$": ["bytes", 1]}}],
                {"tagged": 1},
            ]
            ((reply, parts),) = self.frames(connection, session, (message, [data, b"end"])).frames()
            self.assertEqual(reply, [2, "packed"])
            self.assertIn(data[::-1] + b"end", parts)

    def test_the_head_comes_before_a_slow_reply(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            gate = self.gate(session)
            self.send_frames(connection, session, [2, "evaluate", ["gate.wait(60)"]])
            self.assertEqual(connection.read_head().status, 200)
            gate.set()
            self.assertEqual(frames_of(b"".join(iter(connection.read_chunk, b""))), [[2, "ok", True]])

    def test_output_streams(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            gate = self.gate(session)
            code = "print('one'); gate.wait(60); print('two'); 3"
            self.send_frames(connection, session, [2, "evaluate", [code], {"stdout": 1}])
            self.assertEqual(connection.read_head().headers["transfer-encoding"], "chunked")
            frames: list = []
            while "".join(f[2] for f in frames) != "one\n":
                frames += frames_of(connection.read_chunk())
            gate.set()
            frames += frames_of(b"".join(iter(connection.read_chunk, b"")))
            self.assertEqual("".join(f[2] for f in frames if f[1] == "stdout"), "one\ntwo\n")
            self.assertEqual(frames[-1], [2, "ok", 3])

    def test_output_streams_to_old_clients_until_the_end(self) -> None:
        with self.connect() as connection:
            session = self.open_session(connection)
            body = frame([2, "evaluate", ["import time; time.sleep(0.05); 3"]])
            with self.connect() as old:
                old.send(
                    self.request_bytes(
                        "/beep/v1/call",
                        body,
                        "Content-Type: application/x-beep-frames",
                        f"Beep-Session: {session}",
                    ).replace(b"HTTP/1.1", b"HTTP/1.0")
                )
                response = old.read_response()
                self.assertNotIn("transfer-encoding", response.headers)
                self.assertEqual(response.frames(), [[2, "ok", 3]])

    def test_cancel_and_ping_beside_a_call(self) -> None:
        with self.connect() as connection, self.connect() as beside:
            session = self.open_session(connection)
            self.send_frames(connection, session, [2, "evaluate", ["while True: pass"]])
            self.wait_until(
                lambda: self.frames(beside, session, [3, "ping", []]).frames() == [[3, "ok", [2]]],
                "it is known",
            )
            running = self.server.find_client(session).running
            self.wait_until(lambda: running[2].thread, "it runs")
            self.assertEqual(
                self.frames(beside, session, [4, "cancel", [2]]).frames(), [[4, "ok", "stopped"]]
            )
            (reply,) = connection.read_response().frames()
            self.assertEqual((reply[0], reply[1], reply[2]["code"]), (2, "error", "cancelled"))

    def test_a_lost_client_cancels_when_it_asked_for_that(self) -> None:
        for query, goes_on in (("?cancelOnDisconnect=1", False), ("", True)):
            with self.subTest(query=query), self.connect() as beside:
                session = self.open_session(beside)
                gate = self.gate(session)
                code = "import time\nwhile not gate.is_set(): time.sleep(0.01)\ndone = True"
                with Connection(self.http.port) as lost:
                    self.assertEqual(self.ask(lost, "/health", b"", method="GET").status, 200)
                    connection = self.server_side(lost)
                    self.send_frames(lost, session, [2, "evaluate", [code]], query=query)
                    self.wait_until(
                        lambda: self.frames(beside, session, [3, "ping", []]).frames()[0][2] == [2], "it runs"
                    )
                self.wait_until(lambda: connection not in self.http._connections, "the loss is known")
                if goes_on:
                    self.assertEqual(self.frames(beside, session, [4, "ping", []]).frames(), [[4, "ok", [2]]])
                    gate.set()
                self.wait_until(
                    lambda: self.frames(beside, session, [4, "ping", []]).frames()[0][2] == [], "it ended"
                )
                (reply,) = self.frames(beside, session, [5, "evaluate", ["'done' in globals()"]]).frames()
                self.assertEqual(reply, [5, "ok", goes_on])

    def test_lost_clients_leave_no_thread(self) -> None:
        before = threading.active_count()
        with self.connect() as connection:
            session = self.open_session(connection)
            body = frame([2, "evaluate", ["1"]])
            data = self.request_bytes(
                "/beep/v1/call?cancelOnDisconnect=1",
                body,
                "Content-Type: application/x-beep-frames",
                f"Beep-Session: {session}",
            )
            for number in range(200):
                lost = Connection(self.http.port)
                lost.send(data[: len(data) - number % 60])
                lost.close()
            self.wait_until(lambda: len(self.http._connections) == 1, "all connections but one are forgotten")
            self.assertLessEqual(threading.active_count(), before + 4)


if __name__ == "__main__":
    unittest.main()
