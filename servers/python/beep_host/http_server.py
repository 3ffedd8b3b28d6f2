"""The HTTP server: listens, accepts, keeps the number of connections within bounds, and ends them all.

Every connection has a thread of its own (`http_connection.py`), which waits in blocking calls; calls run on
the threads of their sessions. A strict server of our own, since `http.server` says of itself that it is not
for production, answers in two segments (44 ms on a kept connection) and reads no chunked body.
"""

from __future__ import annotations

import _socket
from _thread import allocate_lock, start_new_thread
from time import monotonic

from beep_host.errors import ArgumentError
from beep_host.forking import close_listening
from beep_host.frames import DEFAULT_MAX_FRAME_BYTES
from beep_host.http_connection import HttpConnection, limit_receiving, limit_sending
from beep_host.http_parser import HttpError
from beep_host.http_policy import HttpPolicy
from beep_host.json_api import GET_PATHS, post_paths

_EVERYWHERE = ("0.0.0.0", "::")


class HttpLimits:
    """What an HTTP server allows; every field is an option of the same name."""

    def __init__(self, **given: int) -> None:
        self.max_head_bytes = 16 * 1024  # request line and header fields
        self.max_body_bytes = DEFAULT_MAX_FRAME_BYTES
        # From a head's first byte to its last; for the first head, from the connection on.
        self.head_timeout_ms = 10_000
        # Without a byte of a body, and without the client taking a byte of an answer.
        self.body_stall_ms = 30_000
        self.idle_timeout_ms = 300_000  # of an authenticated connection between two requests
        self.max_connections = 64  # that have shown the token
        self.max_unauthenticated = 32  # beyond it the oldest is dropped
        # Of output that the client has not read yet, for one request.
        self.max_buffered_bytes = 16 * 1024 * 1024
        self.refused_token_delay_ms = 100
        self.backlog = 128
        for name, value in given.items():
            if name not in self.__dict__:
                raise TypeError(f'Cannot set HTTP limit "{name}": there is none of this name')
            setattr(self, name, value)

    @classmethod
    def of_server(cls, limits: object) -> HttpLimits:
        """What the limits of the whole server say about HTTP: the fields of the same name, and the size of a body."""
        shared = {name: getattr(limits, name) for name in cls().__dict__ if hasattr(limits, name)}
        return cls(max_body_bytes=limits.max_frame_bytes, **shared)


class HttpServer:
    """Listens on one address until it is closed."""

    connection_type: type = HttpConnection
    policy_type: type = HttpPolicy

    def __init__(
        self,
        server: object,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        allowed_hosts: tuple = (),
        allowed_origins: tuple = (),
        limits: HttpLimits | None = None,
        tls: object | None = None,
    ) -> None:
        """Binds and listens; port 0 takes a free one, see `address`. Raises `OSError` when the address cannot
        be had. With `tls`, a context of `tls.make_context`, it speaks HTTPS only."""
        self.server = server
        self.tls = tls
        self.limits = limits or HttpLimits()
        self._lock = allocate_lock()
        self._connections: list[HttpConnection] = []  # in the order of their coming
        self._is_closed = False
        self._family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
        self._listener = _socket.socket(self._family, _socket.SOCK_STREAM)
        try:
            if hasattr(_socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where SO_REUSEADDR lets others in
                self._listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                self._listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            self._listener.bind((host, port))
            self._listener.listen(self.limits.backlog)
        except BaseException:
            self._listener.close()
            raise
        name = self._listener.getsockname()
        self.port = name[1]
        scheme = "http" if tls is None else "https"
        bound = f"[{name[0]}]" if ":" in name[0] else name[0]
        self.address = f"{scheme}://{bound}:{self.port}"
        self.policy = self.policy_type(
            self.port,
            server.token if server.auth else None,
            allowed_hosts if name[0] in _EVERYWHERE else (*allowed_hosts, bound),
            allowed_origins,
            post_paths(),
            default_port=80 if tls is None else 443,
            readings=GET_PATHS,
        )

    def start(self) -> None:
        """Begins to accept, on a thread of its own."""
        start_new_thread(self._accept_all, ())

    def close(self) -> None:
        """Stops listening and ends all connections; calls that run are not its business."""
        with self._lock:
            self._is_closed = True
            connections = list(self._connections)
        try:
            self._listener.shutdown(2)  # wakes accept(); closing alone does not on Linux
        except OSError:
            pass  # some systems refuse it for a listening socket; closing wakes accept() there
        self._listener.close()
        for connection in connections:
            connection.interrupt()

    def close_in_child(self) -> None:
        """For the child of a fork: closes the descriptors without a shutdown, which the parent would feel."""
        for connection in self._connections:
            connection.close_in_child()
        close_listening(self._listener)

    def _accept_all(self) -> None:
        while not self._is_closed:
            try:
                descriptor, _ = self._listener._accept()
            except OSError as error:
                if self._is_closed:
                    return
                if not self._make_room(error):
                    self.server.on_descriptor_lost(error)
                    return
                continue
            sock = _socket.socket(self._family, _socket.SOCK_STREAM, 0, descriptor)
            try:
                self._prepare(sock)
                self._take(sock)
            except (OSError, RuntimeError):
                # The peer has already gone, or no thread can be started: this connection is lost, the server
                # is not.
                sock.close()

    def _make_room(self, error: OSError) -> bool:
        """After a failed accept: drops a connection when descriptors are short; says whether to go on."""
        from errno import EBADF, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOTSOCK

        if error.errno in (EMFILE, ENFILE, ENOBUFS, ENOMEM):
            with self._lock:
                idle = [c for c in self._connections if not c.is_authenticated] or self._connections[:1]
            if idle:
                idle[0].interrupt()
            from time import sleep

            sleep(0.05)  # nothing tells when descriptors of the whole process or machine come free
            return True
        return error.errno not in (EBADF, EINVAL, ENOTSOCK)

    def _prepare(self, sock: _socket.socket) -> None:
        sock.setblocking(True)
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
        limit_receiving(sock, self.limits.idle_timeout_ms)
        limit_sending(sock, self.limits.body_stall_ms)

    def _take(self, sock: _socket.socket) -> None:
        connection = self.connection_type(sock, self)
        dropped = None
        with self._lock:
            if self._is_closed:  # accepted at the last moment: `close` did not see it
                sock.close()
                return
            strangers = [c for c in self._connections if not c.is_authenticated]
            if len(strangers) >= self.limits.max_unauthenticated:
                dropped = strangers[0]
                self._connections.remove(dropped)
            self._connections.append(connection)
        if dropped is not None:
            dropped.interrupt()
        try:
            start_new_thread(connection.run, ())
        except RuntimeError:
            self.forget(connection)
            raise

    def admit(self, connection: HttpConnection) -> None:
        """Counts a connection among those that have shown the token; drops the one that has rested longest
        for it."""
        dropped = None
        with self._lock:
            trusted = [c for c in self._connections if c.is_authenticated]
            if len(trusted) >= self.limits.max_connections:
                # One that answered just now may have its next request under way: that one would be lost.
                before = monotonic() - 1
                resting = [c for c in trusted if not c.is_busy and c.idle_since < before]
                if not resting:
                    raise HttpError(
                        503,
                        "limit",
                        "Cannot take another connection: all of max_connections, "
                        f"{self.limits.max_connections}, are in use",
                        (("Retry-After", "1"),),
                    )
                dropped = min(resting, key=lambda c: c.idle_since)
                self._connections.remove(dropped)
            connection.is_authenticated = True
        if dropped is not None:
            dropped.interrupt()

    def forget(self, connection: HttpConnection) -> None:
        """Told by a connection that it has ended."""
        with self._lock:
            if connection in self._connections:
                self._connections.remove(connection)


def from_bootstrap(server: object, bootstrap: dict, kind: type[HttpServer] = HttpServer) -> HttpServer:
    """The server that a bootstrap line asks for, listening. Raises `ArgumentError` for one that would be an open door."""
    host = bootstrap.get("host") or "127.0.0.1"
    tls = None
    if bootstrap.get("tls"):
        from beep_host.tls import make_context  # brings OpenSSL, which costs a start several milliseconds

        tls = make_context(bootstrap["tls"])
    is_loopback = host.startswith("127.") or host in ("::1", "localhost")
    if not is_loopback and not (bootstrap.get("listenBeyondLoopback") is True and tls is not None and server.auth):
        raise ArgumentError(
            f'Cannot listen at "{host}": beyond this machine it takes listenBeyondLoopback, TLS and a token'
        )
    return kind(
        server,
        host,
        bootstrap.get("port") or 0,
        allowed_hosts=tuple(bootstrap.get("allowedHosts") or ()),
        allowed_origins=tuple(bootstrap.get("allowedOrigins") or ()),
        limits=HttpLimits.of_server(server.limits),
        tls=tls,
    )
