"""Waiting for a call's answer and for its client's end at once, whichever comes first.

Worth its system calls only for calls that take long: first `awaited.wait(WATCH_AFTER_SECONDS)`, then this.
"""

from __future__ import annotations

import _socket

# A call that takes longer is worth the system calls that notice its client's end.
WATCH_AFTER_SECONDS = 0.05
_MSG_DONTWAIT = getattr(_socket, "MSG_DONTWAIT", 0)
_READ_BYTES = 64 * 1024


class PeerGone(Exception):
    """The peer ended or broke the connection: there is nobody to tell."""


class PeerWatch:
    """Watches one socket, as often as it is asked to."""

    def __init__(self, sock: object) -> None:
        self._socket = sock
        self._alarm: tuple | None = None  # the socket pair that wakes us, made when first needed

    def wait(self, awaited: object) -> bytes:
        """Waits until `awaited` (`notify(callable or None) -> is there something already`) has something to
        send.

        Gives what the peer sent meanwhile, at most one read of it. Raises `PeerGone` when it has ended: also
        when it ended only its own sending, which nobody does who still waits for an answer.
        """
        if self._alarm is None:
            import socket

            self._alarm = socket.socketpair()
            self._alarm[1].setblocking(False)
        bell, ear = self._alarm
        received = b""
        try:
            if awaited.notify(lambda: bell.send(b"\0")):
                return received
            watched = [ear, self._socket]
            while ear not in _wait_readable(watched):
                try:
                    received = self._socket.recv(_READ_BYTES, _MSG_DONTWAIT)
                except BlockingIOError:
                    continue  # a piece of a TLS record, which means nothing yet
                if not received:
                    raise PeerGone
                watched = [ear]  # what follows is read in its turn
            return received
        finally:
            awaited.notify(None)
            try:
                ear.recv(16)
            except BlockingIOError:
                pass  # it was not rung

    def close(self) -> None:
        """Gives the descriptors back."""
        if self._alarm is not None:
            for end in self._alarm:
                end.close()


def _wait_readable(sockets: list) -> list:
    import select

    # poll where there is one: a descriptor may be beyond what select can hold.
    if not hasattr(select, "poll"):
        return select.select(sockets, [], [])[0]
    poll = select.poll()
    for sock in sockets:
        poll.register(sock.fileno(), select.POLLIN)
    found = {descriptor for descriptor, _ in poll.poll()}
    return [sock for sock in sockets if sock.fileno() in found]
