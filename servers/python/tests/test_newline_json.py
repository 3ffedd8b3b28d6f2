"""The dialect of the original's C# clients on a pipe: lines of JSON, the first behind a byte order mark."""

from __future__ import annotations

import json
import socket
import threading
import unittest
from types import SimpleNamespace

from beep_host import newline_json
from beep_host.server import Server
from tests.http_support import PATIENCE_SECONDS


class NewlineJson(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server({"auth": False, "limits": {"maxFrameBytes": 100_000}})
        self.server.main_thread.claim(lambda state: None, SimpleNamespace(is_closed=False))
        self.addCleanup(self.server.default_client.close)

    def connect(self, first: bytes = b"") -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE_SECONDS)
        thread = threading.Thread(
            target=newline_json.serve, args=(theirs, first, self.server.default_client, self.server.limits)
        )
        thread.start()

        def end() -> None:
            ours.close()
            thread.join(PATIENCE_SECONDS)
            self.assertFalse(thread.is_alive(), "the connection's thread did not end")

        self.addCleanup(end)
        return ours

    def ask(self, sock: socket.socket, command: str, payload: object) -> dict:
        sock.sendall(json.dumps({"command": command, "payload": payload}).encode() + b"\n")
        return self.read(sock)

    def read(self, sock: socket.socket) -> dict:
        line = b""
        while not line.endswith(b"\n"):
            piece = sock.recv(1)
            if not piece:
                raise EOFError
            line += piece
        return json.loads(line)

    def test_commands(self) -> None:
        sock = self.connect(b'\xef\xbb\xbf{"command":"ping","payload":{}}\n')
        self.assertEqual(self.read(sock), {"result": {"status": "ok"}, "error": None})
        module = self.ask(sock, "import", {"moduleName": "datetime"})["result"]["handleId"]
        made = self.ask(sock, "create", {"moduleHandleId": module, "className": "timedelta", "args": [2]})[
            "result"
        ]
        self.assertEqual(made["typeName"], "timedelta")
        self.assertEqual(
            self.ask(sock, "getattr", {"handleId": made["handleId"], "attributeName": "days"})["result"],
            {"value": 2},
        )
        self.assertEqual(
            self.ask(sock, "call", {"handleId": made["handleId"], "methodName": "total_seconds"})["result"],
            {"value": 172800.0},
        )
        self.assertEqual(
            self.ask(sock, "eval", {"expression": "a + 1", "locals": {"a": 1}})["result"], {"value": 2}
        )
        wrapped = self.ask(sock, "wrap", {"value": []})["result"]["handleId"]
        self.assertEqual(self.ask(sock, "tofloatarray", {"handleId": wrapped})["result"], [])
        self.assertEqual(
            self.ask(sock, "module_available", {"moduleName": "json"})["result"], {"available": True}
        )
        self.assertEqual(
            self.ask(sock, "dispose", {"handleId": wrapped}), {"result": {"success": True}, "error": None}
        )
        named = self.ask(sock, "create", {"moduleName": "types", "className": "SimpleNamespace"})["result"][
            "handleId"
        ]
        self.assertEqual(
            self.ask(sock, "setattr", {"handleId": named, "attributeName": "b", "value": 1})["result"],
            {"success": True},
        )

    def test_errors_keep_the_connection(self) -> None:
        sock = self.connect()
        reply = self.ask(sock, "eval", {"expression": "1/0"})
        self.assertEqual(reply, {"result": None, "error": "ZeroDivisionError: division by zero"})
        for line in (
            b"{broken\n",
            b"[]\n",
            b'{"command":5}\n',
            b'{"command":"nothing"}\n',
            b'{"command":"eval"}\n',
            b"\xff\n",
        ):
            sock.sendall(line)
            reply = self.read(sock)
            self.assertIsNone(reply["result"])
            self.assertIsInstance(reply["error"], str)
        self.assertEqual(self.ask(sock, "eval", {"expression": "2"})["result"], {"value": 2})

    def test_values_that_ended_the_originals_connection(self) -> None:
        sock = self.connect()
        self.assertEqual(
            self.ask(sock, "eval", {"expression": "[float('nan'), {1}, b'a']"})["result"],
            {"value": ["NaN", [1], "YQ=="]},
        )
        self.assertEqual(self.ask(sock, "eval", {"expression": "1j"})["result"]["typeName"], "complex")
        # One line per reply, whatever the text contains.
        self.assertEqual(
            self.ask(sock, "eval", {"expression": r"'a\nb\u2028'"})["result"], {"value": "a\nb\u2028"}
        )

    def test_lines_cut_anywhere_and_sent_ahead(self) -> None:
        sock = self.connect(b'{"comm')
        lines = (
            b'and":"eval","payload":{"expression":"import time; time.sleep(0.1); 1"}}\r\n\r\n'
            b'{"command":"eval","payload":{"expression":"2"}}\n'
        )
        for at in range(0, len(lines), 7):
            sock.sendall(lines[at : at + 7])
        self.assertEqual(self.read(sock)["result"], {"value": 1})
        self.assertEqual(self.read(sock)["result"], {"value": 2})

    def test_a_line_that_is_too_long(self) -> None:
        sock = self.connect()
        threading.Thread(target=self._flood, args=(sock,), daemon=True).start()
        self.assertIn("maxFrameBytes", self.read(sock)["error"])

    def _flood(self, sock: socket.socket) -> None:
        try:
            sock.sendall(b'{"command":"' + b"x" * 1_000_000)
        except OSError:
            pass  # the server hung up, as it should

    def test_several_clients_at_once(self) -> None:
        socks = [self.connect() for _ in range(3)]
        for number, sock in enumerate(socks):
            self.assertEqual(self.ask(sock, "eval", {"expression": f"{number}"})["result"], {"value": number})

    def test_a_client_that_leaves_during_a_call(self) -> None:
        sock = self.connect()
        gate = self.server.default_client.session.namespace["gate"] = threading.Event()
        self.addCleanup(gate.set)
        sock.sendall(b'{"command":"eval","payload":{"expression":"gate.wait(60)"}}\n')
        sock.shutdown(socket.SHUT_WR)
        with self.assertRaises(EOFError):
            self.read(sock)


if __name__ == "__main__":
    unittest.main()
