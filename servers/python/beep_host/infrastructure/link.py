"""One request to the host over a socket of its own: HTTP/1.0, whose answer ends with the connection.

The way to the host is a file, readable for its owner alone, that holds an address and a token. `BEEP_HOST_API` names
it; so children find it too, and the token is in no environment and no argument.
"""

from __future__ import annotations

import os
from _thread import allocate_lock

from beep_host.infrastructure.errors import HostGoneError, HostUnavailableError

FILE_VARIABLE = "BEEP_HOST_API"
# A wait in a thread other than the main one sees an interrupt only between two system calls.
_LOOK_UP_S = 0.2
_READ_BYTES = 64 * 1024
_MAX_HEAD = 64 * 1024


def has_host() -> bool:
    """Whether this process was given a way to a host."""
    return FILE_VARIABLE in os.environ


class Answer:
    """The head of an answer, and its body as it comes."""

    def __init__(self, link: Link, status: int, headers: dict, body: bytes) -> None:
        self.status = status
        self.content_type: str = headers.get("content-type", "").partition(";")[0].strip().lower()
        self._length = headers.get("content-length")
        self._link = link
        self._body = body

    def chunks(self) -> object:
        """The body in pieces, to its end."""
        received = 0
        chunk = self._body
        while True:
            if chunk:
                received += len(chunk)
                yield chunk
            chunk = self._link.receive()
            if not chunk:
                break
        if self._length is not None and received < int(self._length):
            raise HostGoneError("Cannot read the host's answer: it ended too soon", code="closed")

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks())


class Link:
    """A connection to the host for one request. `cut` ends it from any thread."""

    def __init__(self) -> None:
        self._socket: object | None = None
        self._is_cut = False
        self._lock = allocate_lock()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                self._socket.close()

    def cut(self) -> None:
        """Ends the connection, and with it the operation on the host's side."""
        with self._lock:
            self._is_cut = True
            try:
                if self._socket is not None:
                    self._socket.shutdown(2)
            except OSError:
                pass  # it has ended by itself

    def request(self, method: str, path: str, fields: dict, body: bytes | None) -> Answer:
        """Sends a request and gives the answer when its head has come."""
        address, token = _read_file()
        lines = [
            f"{method} {path} HTTP/1.0",
            "Host: localhost",
            f"Authorization: Bearer {token}",
            *[f"{name}: {value}" for name, value in fields.items()],
        ]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self._connect(address)
        unsent = memoryview(head + (body or b""))
        while unsent:
            unsent = unsent[self._patiently(self._socket.send, unsent) :]
        return self._read_head()

    def receive(self) -> bytes:
        """The next bytes; none when the answer has ended."""
        return self._patiently(self._socket.recv, _READ_BYTES)

    def _patiently(self, operation: object, argument: object) -> object:
        """Does something with the socket however long it takes: its timeout is for a look at what this thread was told meanwhile."""
        while True:
            try:
                return operation(argument)
            except TimeoutError:
                continue
            except OSError as error:
                if type(error).__name__ == "timeout":  # before 3.10 a class of its own
                    continue
                raise _gone(error) from error

    def _connect(self, address: str) -> None:
        import socket

        try:
            if address.startswith("unix:"):
                made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                target: object = address[len("unix:") :]
            else:
                made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                host, _, port = address[len("http://") :].partition(":")
                target = (host, int(port))
            with self._lock:
                self._socket = made
                if self._is_cut:
                    raise HostGoneError("Cannot ask the host: the request was cancelled", code="closed")
            made.connect(target)
            made.settimeout(_LOOK_UP_S)
        except OSError as error:
            if isinstance(error, HostGoneError):
                raise
            raise _gone(error) from error

    def _read_head(self) -> Answer:
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = self.receive()
            if not chunk or len(data) > _MAX_HEAD:
                raise HostGoneError("Cannot read the host's answer: the connection ended", code="closed")
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in rest:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Answer(self, int(first.split(" ")[1]), headers, body)


def _gone(error: OSError) -> HostGoneError:
    return HostGoneError(f"Cannot reach the host: {error.strerror or error}", code="closed")


def _read_file() -> tuple:
    path = os.environ.get(FILE_VARIABLE)
    if path is None:
        raise HostUnavailableError(
            "Cannot ask the host: this process was given no way to it",
            code="unavailable",
            hint="The host program allows it by the option `infrastructure`; it is off for servers beyond loopback.",
        )
    from beep_host.json_text import loads

    try:
        with open(path, "rb") as file:
            content = loads(file.read())
    except FileNotFoundError as error:
        raise HostGoneError("Cannot ask the host: it has ended", code="closed") from error
    return content["address"], content["token"]
