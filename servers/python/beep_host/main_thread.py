"""The main thread, which belongs to one session at a time: `signal` works there, and sleeps can be interrupted."""

from __future__ import annotations

from _thread import allocate_lock, get_ident

from beep_host import interrupts
from beep_host.execution import ThreadState


# How long a new session waits for one that is ending to leave the main thread. What takes longer hangs.
_PATIENCE_S = 0.5


class MainThread:
    """Lends the main thread to one session at a time."""

    def __init__(self) -> None:
        from _queue import SimpleQueue

        self._jobs = SimpleQueue()
        self._lock = allocate_lock()
        # The session that has the thread.
        self._holder: object | None = None
        # Locks of sessions that wait for one that is ending.
        self._waiting: list = []
        # Whether it was waited for in vain: the next ones need not wait too.
        self._is_hanging = False

    def claim(self, job: object, session: object) -> bool:
        """Runs `job(state)` on the main thread if no session has it. Never waits."""
        with self._lock:
            if self._holder is not None:
                return False
            self._holder = session
        self._jobs.put(job)
        return True

    def claim_patiently(self, job: object, session: object) -> bool:
        """As `claim`, but when the session that has the thread is ending, waits a moment for it to leave."""
        with self._lock:
            freed = None
            if self._holder is not None:
                if not self._holder.is_closed or self._is_hanging:
                    return False
                freed = allocate_lock()
                freed.acquire()
                self._waiting.append(freed)
        if freed is not None and not freed.acquire(True, _PATIENCE_S):
            self._is_hanging = True
            return False
        return self.claim(job, session)

    def serve(self) -> None:
        """Runs what is claimed, until `stop`. Called on the main thread."""
        state = interrupts.main_state = ThreadState(True)
        while True:
            job = self._jobs.get()
            if job is None:
                return
            job(state)
            job = None
            with self._lock:
                self._holder = None
                self._is_hanging = False
                waiting, self._waiting = self._waiting, []
            for freed in waiting:
                freed.release()

    def stop(self) -> None:
        """Ends `serve` when the present session's work is over."""
        self._jobs.put(None)

    def renew_lock(self) -> None:
        """For the child of a fork."""
        self._lock = allocate_lock()

    @property
    def is_current(self) -> bool:
        """Whether this is the main thread."""
        return interrupts.main_state is not None and interrupts.main_state.ident == get_ident()
