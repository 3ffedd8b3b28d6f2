"""Asking the host, against a host of a few lines; the stand-in for Python.NET; versions."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import re
import socket
import sys
import tempfile
import threading
import time
import types
import unittest
from typing import Iterator

from beep_host.clr_finder import StandInFinder
from beep_host.clr_results import version_meets
from beep_host.infrastructure import (
    AsyncVenvManager,
    CommandFailedError,
    EnvironmentNameError,
    EnvironmentNotFoundError,
    HostGoneError,
    HostUnavailableError,
    InfrastructureError,
    VenvManager,
)
from beep_host.infrastructure.errors import error_from

_ENVIRONMENT = {
    "name": "one",
    "path": "/one",
    "python": "/one/bin/python",
    "version": "3.12.1",
    "state": "ready",
    "problem": None,
    "requirements": [],
    "packages": None,
}


class FakeHost:
    """Answers each connection with the next of the given pieces; None holds the connection until the end."""

    def __init__(self, *answers: list, reads_after_s: float = 0) -> None:
        self.requests: list = []
        self._reads_after_s = reads_after_s
        self.held: list = []
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        descriptor, self.path = tempfile.mkstemp()
        with os.fdopen(descriptor, "w") as file:
            port = self._listener.getsockname()[1]
            json.dump({"schema": 1, "address": f"http://127.0.0.1:{port}", "token": "secret"}, file)
        os.environ["BEEP_HOST_API"] = self.path
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for pieces in self._answers:
            connection, _ = self._listener.accept()
            data = b""
            while b"\r\n\r\n" not in data:
                piece = connection.recv(65536)
                if not piece:
                    raise EOFError(f"a request ended after {data!r}")
                data += piece
            if self._reads_after_s:
                time.sleep(self._reads_after_s)
                head, _, body = data.partition(b"\r\n\r\n")
                left = int(re.search(rb"(?i)content-length: ([0-9]+)", head)[1]) - len(body)
                while left > 0:
                    piece = connection.recv(1 << 20)
                    if not piece:
                        raise EOFError(f"the body of a request ended {left} bytes too soon")
                    left -= len(piece)
                    data += piece
            self.requests.append(data)
            for piece in pieces:
                connection.sendall(piece)
            if pieces and pieces[-1] == b"":
                self.held.append(connection)
            else:
                connection.close()

    def __enter__(self) -> FakeHost:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self.held:
            connection.close()
        self._thread.join()
        self._listener.close()
        del os.environ["BEEP_HOST_API"]
        os.unlink(self.path)


def _answer(content: object, status: int = 200, kind: str = "application/json") -> bytes:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return f"HTTP/1.0 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def _lines(*lines: object) -> Iterator[bytes]:
    yield b"HTTP/1.0 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n"
    for line in lines:
        yield json.dumps(line).encode() + b"\n"


class AskTest(unittest.TestCase):
    def test_an_answer_cut_anywhere_is_read(self) -> None:
        text = _answer({"environments": [_ENVIRONMENT]})
        for at in range(1, len(text), 37):
            with FakeHost([text[:at], text[at:]]) as host:
                self.assertEqual(VenvManager().list()[0].path, "/one")
            self.assertIn(b"Authorization: Bearer secret", host.requests[0])

    def test_a_request_that_the_host_reads_late_is_sent_whole(self) -> None:
        requirement = "x" * 30_000_000
        with FakeHost(list(_lines({"result": _ENVIRONMENT})), reads_after_s=0.5) as host:
            VenvManager().ensure("one", packages=[requirement])
        self.assertGreater(len(host.requests[0]), len(requirement))

    def test_progress_comes_before_the_result(self) -> None:
        told: list = []
        lines = _lines({"progress": {"stage": "create", "subject": "one"}}, {"result": _ENVIRONMENT})
        with FakeHost(list(lines)):
            made = VenvManager().ensure("one", on_progress=told.append)
        self.assertEqual((made.name, [event.stage for event in told]), ("one", ["create"]))

    def test_an_error_of_a_stream_raises_by_type(self) -> None:
        error = {"type": "CommandError", "code": "command", "message": "no", "output": "lines", "exitCode": 1}
        with FakeHost(list(_lines({"error": error}))):
            with self.assertRaises(CommandFailedError) as raised:
                VenvManager().ensure("one")
        self.assertEqual((raised.exception.output, raised.exception.exit_code), ("lines", 1))

    def test_a_host_that_goes_away_raises(self) -> None:
        whole = _answer({"environments": []})
        stream = list(_lines({"progress": {"stage": "create", "subject": "one"}}))
        for pieces, ask in (
            ([], VenvManager().list),
            ([whole[:10]], VenvManager().list),
            ([whole[:-1]], VenvManager().list),
            (stream, lambda: VenvManager().ensure("one")),
        ):
            with FakeHost(pieces), self.assertRaises(HostGoneError):
                ask()

    def test_no_way_to_a_host_raises(self) -> None:
        os.environ.pop("BEEP_HOST_API", None)
        with self.assertRaises(HostUnavailableError):
            VenvManager().list()
        os.environ["BEEP_HOST_API"] = "/there/is/none"
        try:
            with self.assertRaises(HostGoneError):
                VenvManager().list()
        finally:
            del os.environ["BEEP_HOST_API"]

    def test_an_answer_that_is_no_json_raises(self) -> None:
        with FakeHost([_answer(b"oops", 500, "text/plain")]), self.assertRaises(InfrastructureError):
            VenvManager().list()

    def test_names_that_are_steps_in_a_path_never_leave(self) -> None:
        for name in ("", ".", "..", "..."):
            with self.assertRaises(EnvironmentNameError):
                VenvManager().status(name)
        with self.assertRaises(TypeError):
            VenvManager().status(None)  # type: ignore[arg-type]

    def test_cancelling_a_coroutine_cuts_the_connection(self) -> None:
        async def main() -> None:
            task = asyncio.ensure_future(AsyncVenvManager().list())
            while not host.requests:
                await asyncio.sleep(0.001)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        with FakeHost([b"HTTP/1.0 200 OK\r\n", b""]) as host:
            # Ends only when the thread that waited has ended, too.
            asyncio.run(main())

    def test_errors_survive_a_pickle(self) -> None:
        error = error_from({"code": "environment", "reason": "missing", "message": "no", "hint": "make it"})
        copy = pickle.loads(pickle.dumps(error))
        self.assertIs(type(copy), EnvironmentNotFoundError)
        self.assertEqual((str(copy), copy.code, copy.hint), ("no", "environment", "make it"))


class StandInTest(unittest.TestCase):
    def setUp(self) -> None:
        self._before = dict(sys.modules)
        sys.meta_path.append(StandInFinder())

    def tearDown(self) -> None:
        sys.meta_path.pop()
        for name in set(sys.modules) - set(self._before):
            if name == "clr" or name.partition(".")[0] == "Beep":
                del sys.modules[name]

    def test_an_installed_one_wins(self) -> None:
        real = sys.modules["clr"] = types.ModuleType("clr")
        try:
            import clr

            self.assertIs(clr, real)
            with self.assertRaises(ImportError):
                import Beep.Python  # noqa: F401
        finally:
            del sys.modules["clr"]

    def test_the_original_classes_are_there_under_their_names(self) -> None:
        import clr

        self.assertEqual(str(clr.AddReference("Beep.Python.Runtime")), "Beep.Python.Runtime")
        self.assertEqual(str(clr.AddReference("/some/where/Beep.Python.Runtime.dll")), "Beep.Python.Runtime")
        from Beep.Python.RuntimeEngine.Infrastructure import VenvManager as Original

        self.assertEqual(Original().SlugifyModelId("org/model:1"), "org-model-1")
        self.assertEqual(Original().DetermineBackendFromProviderName("x-CUDA"), "cuda")
        self.assertEqual(Original().AppendBackendSuffix("embeddings"), "embeddings")
        self.assertEqual(Original().AppendBackendSuffix("x", "cpu"), "x-cpu")

    def test_everything_else_is_refused(self) -> None:
        import clr

        with self.assertRaisesRegex(FileNotFoundError, "Python.NET is not installed"):
            clr.AddReference("System.Windows.Forms")
        with self.assertRaisesRegex(AttributeError, "stand-in"):
            clr.GetClrType
        with self.assertRaises(ImportError):
            import Beep.Other  # noqa: F401


class VersionTest(unittest.TestCase):
    def test_constraints(self) -> None:
        for version, constraint, expected in (
            ("1.2.3", "", True),
            ("1.2.3", ">=1.2,<2", True),
            ("2.0", ">=1.2,<2", False),
            ("1.2", "==1.2.0", True),
            ("1.2.5", "==1.2.*", True),
            ("1.3", "!=1.2.*", True),
            ("1.4.5", "~=1.4.2", True),
            ("1.5.0", "~=1.4.2", False),
            ("1.10", ">1.9", True),
            ("1.0", "1.0", True),
        ):
            self.assertIs(version_meets(version, constraint), expected, (version, constraint))


if __name__ == "__main__":
    unittest.main()
