"""Waking a thread by a socket.

What wakes by a lock often wakes a thread on another core, which has to be roused first; what wakes by a socket, the kernel knows,
is about to wait itself, and the other goes on where it was. It can also be waited for together with other sockets.
"""

from __future__ import annotations

from _socket import socketpair


class Bell:
    """One thread listens, any rings."""

    __slots__ = ("_ear", "_hammer")

    def __init__(self) -> None:
        self._ear, self._hammer = socketpair()
        self._hammer.setblocking(False)

    def ring(self) -> None:
        """Wakes who waits, or who will next."""
        try:
            self._hammer.send(b"\0")
        except OSError:
            pass  # it rings already, or is broken, which the listener finds out

    def wait(self) -> None:
        """Waits until it rings, if need be for nothing. Raises `OSError` when user code has closed it, as `os.closerange` does."""
        if not self._ear.recv(64):
            raise OSError("The bell is broken")

    def fileno(self) -> int:
        """What can be read when it rings."""
        return self._ear.fileno()

    def close(self) -> None:
        """Gives its descriptors back."""
        self._hammer.close()
        self._ear.close()
