"""The clients that came over HTTP: no connection's end ends them, so an idle one ends by the clock."""

from __future__ import annotations

from _thread import allocate_lock, start_new_thread
from time import monotonic

from beep_host.errors import StaleHandle


class HttpSessions:
    """The clients of one HTTP server, by the names of their sessions."""

    def __init__(self, server: object) -> None:
        self._server = server
        self._idle_seconds = server.limits.session_idle_ms / 1000
        self._lock = allocate_lock()
        self._clients: dict[str, list] = {}  # name -> [client, time of its last request]
        self._stop = allocate_lock()  # held until there is nothing more to look after
        self._stop.acquire()
        self._is_sweeping = False

    def open(self) -> object:
        """A new client."""
        client = self._server.open_client()
        with self._lock:
            self._clients[client.session_id] = [client, monotonic()]
            starts = not self._is_sweeping
            self._is_sweeping = True
        if starts:
            start_new_thread(self._sweep_until_closed, ())
        return client

    def find(self, name: str) -> object:
        """The client of a session, whose time starts anew."""
        entry = self._clients.get(name)
        if entry is None or entry[0].is_closed:
            raise StaleHandle(
                "Cannot find session: it has ended, or belongs to another server",
                hint="A session without a request for sessionIdleMs ends; connect again with a new backend.",
            )
        entry[1] = monotonic()
        return entry[0]

    def end(self, client: object) -> None:
        """Ends a client; what it held is let go."""
        with self._lock:
            if self._clients.pop(client.session_id, None) is None:
                return
        client.close()
        # A session that never ran anything has no thread on which this would happen.
        if not client.session.has_thread:
            client.session.ended()

    def close(self) -> None:
        """Stops the clock."""
        with self._lock:
            if self._is_sweeping:
                self._is_sweeping = False
                self._stop.release()

    def _sweep_until_closed(self) -> None:
        while not self._stop.acquire(True, max(self._idle_seconds / 4, 0.01)):
            now = monotonic()
            with self._lock:
                for entry in self._clients.values():
                    if entry[0].running:  # a call takes as long as it takes
                        entry[1] = now
                idle = [client for client, since in self._clients.values() if since < now - self._idle_seconds]
            for client in idle:
                self.end(client)
