"""Waking a thread by a socket.

What wakes by a lock often wakes a thread on another core, which has to be roused first; what wakes by a socket, the kernel knows,
is about to wait itself, and the other goes on where it was. It can also be waited for together with other sockets.
"""

from __future__ import annotations

from _socket import socketpair

# Each is two descriptors, of which a process may have but 256. Beyond it who waits does so by a lock, as without bells.
_MAX_BELLS = 32

_bells: set[Bell] = set()


class Bell:
    """One thread listens, any rings."""

    __slots__ = ("_ear", "_hammer")

    def __init__(self) -> None:
        """Raises `OSError` when there are enough of them, or no descriptors are left."""
        if len(_bells) >= _MAX_BELLS:
            raise OSError(f"{_MAX_BELLS} bells are in use")
        self._ear, self._hammer = socketpair()
        # User code may have set another default.
        self._ear.settimeout(None)
        self._hammer.setblocking(False)
        _bells.add(self)

    def ring(self) -> None:
        """Wakes who waits, or who will next."""
        try:
            self._hammer.send(b"\0")
        except OSError:
            pass  # it rings already, or is broken, which the listener finds out

    def wait(self) -> None:
        """Waits until it rings, if need be for nothing. Raises `OSError` when user code has closed it, as `os.closerange` does."""
        if not self._ear.recv(64):
            raise OSError("A bell is broken")

    def fileno(self) -> int:
        """What can be read when it rings."""
        return self._ear.fileno()

    def close(self) -> None:
        """Gives its descriptors back. Nobody may be ringing: their numbers may be those of other files at once."""
        _bells.discard(self)
        for end in (self._hammer, self._ear):
            try:
                end.close()
            except OSError:
                pass  # user code closed it before


def close_in_child() -> None:
    """For the child of a fork, which listens to none of them."""
    for bell in list(_bells):
        bell.close()
