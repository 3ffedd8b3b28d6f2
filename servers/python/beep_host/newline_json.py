"""Lines of JSON on a pipe: what the original's C# clients speak there (docs/PROTOCOL.md §7)."""

from __future__ import annotations

from beep_host.errors import HostError, LimitError, error_payload
from beep_host.json_api import run
from beep_host.json_text import loads_finite
from beep_host.nesting import nesting
from beep_host.peer_watch import WATCH_AFTER_SECONDS, PeerGone, PeerWatch
from beep_host.replies import dumps

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_READ_BYTES = 64 * 1024


def serve(sock: object, first_bytes: bytes, client: object, limits: object) -> None:
    """Answers each line with one line, in order, until the peer ends; then closes the socket.

    `first_bytes` is what was read to find out that the peer speaks this dialect. Calls run in the sessions of
    `client`.
    """
    lines = _Lines(sock, first_bytes, limits.max_frame_bytes)
    watch = PeerWatch(sock)
    try:
        while True:
            line = lines.next()
            if line.startswith(_BYTE_ORDER_MARK):  # .NET's StreamWriter opens with one
                line = line[len(_BYTE_ORDER_MARK) :]
            if line.strip():
                sock.sendall(_answer(line, client, lines, watch))
    except LimitError as error:
        _send_last(sock, error)
    except (PeerGone, OSError):
        pass  # whoever was there has gone, and with them who would want to know
    finally:
        watch.close()
        sock.close()


def _answer(line: bytes, client: object, lines: _Lines, watch: PeerWatch) -> bytes:
    try:
        request = loads_finite(line)
        if type(request) is not dict or type(request.get("command")) is not str:
            return _failure('Cannot read line: it is not an object with the key "command"')
        payload = request.get("payload")
        nesting.check_plain(line, payload)
        reply = run(client, request["command"], payload)
    except HostError as error:
        return _failure(error.message)
    if not reply.wait(WATCH_AFTER_SECONDS):
        lines.feed(watch.wait(reply))
        reply.wait()
    if reply.message is not None:
        return _failure(reply.message)
    return b'{"result":%b,"error":null}\n' % reply.text


def _failure(message: str) -> bytes:
    return dumps({"result": None, "error": message}) + b"\n"


def _send_last(sock: object, error: HostError) -> None:
    try:
        sock.sendall(_failure(error_payload(error)["message"]))
    except OSError:
        pass  # the peer has gone, and need not be told why


class _Lines:
    """Cuts a stream into lines."""

    def __init__(self, sock: object, first_bytes: bytes, max_bytes: int) -> None:
        self._socket = sock
        self._max_bytes = max_bytes
        self._data = bytearray(first_bytes)
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Takes bytes that somebody else has received."""
        self._data += data

    def next(self) -> bytes:
        """The next line, without its end. Raises `PeerGone` when none follows."""
        data = self._data
        while True:
            end = data.find(b"\n", self._searched)
            if end >= 0:
                line = bytes(data[:end])
                del data[: end + 1]
                self._searched = 0
                return line
            if len(data) > self._max_bytes:
                raise LimitError(f"Cannot read line: it is longer than maxFrameBytes, {self._max_bytes}")
            self._searched = len(data)
            received = self._socket.recv(_READ_BYTES)
            if not received:
                raise PeerGone
            data += received
