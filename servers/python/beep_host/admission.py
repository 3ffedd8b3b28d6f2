"""How many connections may be open, counted apart for those that have proved who they are and those that have not."""

from __future__ import annotations

from _thread import allocate_lock


class Admissions:
    """The open connections of one listener."""

    def __init__(self, max_trusted: int, max_strangers: int) -> None:
        self._max_trusted = max_trusted
        self._max_strangers = max_strangers
        self._lock = allocate_lock()
        self._strangers: list[Admission] = []
        self._trusted: set[Admission] = set()

    def enter(self, sock: object) -> Admission:
        """Counts a new connection; when there are too many that proved nothing, the oldest of them is dropped."""
        admission = Admission(self, sock)
        dropped = None
        with self._lock:
            if len(self._strangers) >= self._max_strangers:
                dropped = self._strangers.pop(0)
            self._strangers.append(admission)
        if dropped is not None:
            dropped.drop()
        return admission

    def promote(self, admission: Admission) -> bool:
        """Counts a connection among the trusted; False when there are too many."""
        with self._lock:
            if len(self._trusted) >= self._max_trusted:
                return False
            if admission in self._strangers:
                self._strangers.remove(admission)
            self._trusted.add(admission)
            return True

    def leave(self, admission: Admission) -> None:
        """Counts a connection no longer."""
        with self._lock:
            self._trusted.discard(admission)
            if admission in self._strangers:
                self._strangers.remove(admission)

    def drop_oldest_stranger(self) -> None:
        """Makes room when descriptors are short."""
        with self._lock:
            dropped = self._strangers.pop(0) if self._strangers else None
        if dropped is not None:
            dropped.drop()

    def renew_lock(self) -> None:
        """For the child of a fork."""
        self._lock = allocate_lock()

    def close_all(self) -> None:
        """For the child of a fork: closes the descriptors without a shutdown, which the parent would feel."""
        for admission in (*self._strangers, *self._trusted):
            admission.close()

    def drop_all(self) -> None:
        """Ends all connections; their threads find out by themselves."""
        with self._lock:
            every = [*self._strangers, *self._trusted]
        for admission in every:
            admission.drop()


class Admission:
    """One counted connection."""

    def __init__(self, admissions: Admissions, sock: object) -> None:
        self._admissions = admissions
        self._sock = sock

    def promote(self) -> bool:
        """See `Admissions.promote`."""
        return self._admissions.promote(self)

    def drop(self) -> None:
        """Ends the connection from another thread."""
        try:
            self._sock.shutdown(2)
        except OSError:
            pass  # it has ended by itself

    def close(self) -> None:
        """Gives the descriptor back, in the child of a fork."""
        self._sock.close()

    def leave(self) -> None:
        """See `Admissions.leave`."""
        self._admissions.leave(self)


class RefusedTokens:
    """Counts attempts to get in with a wrong token, and says so where the owner of the server reads."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = allocate_lock()

    def add(self) -> None:
        """One more; told at the first, the tenth, the hundredth and each thousandth."""
        with self._lock:
            self.count += 1
            count = self.count
        if count in (1, 10, 100) or count % 1000 == 0:
            import sys

            attempts = "1 attempt" if count == 1 else f"{count} attempts"
            print(f"beep_host: refused {attempts} without the right token", file=sys.__stderr__, flush=True)
