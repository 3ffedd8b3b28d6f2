"""The main thread, which belongs to one session at a time: `signal` works there, and sleeps can be interrupted."""

from __future__ import annotations

from _thread import allocate_lock, get_ident

from beep_host import execution
from beep_host.execution import ThreadState


class MainThread:
    """Lends the main thread to one session at a time."""

    def __init__(self) -> None:
        from _queue import SimpleQueue

        self._jobs = SimpleQueue()
        self._lock = allocate_lock()
        self._is_taken = False

    def claim(self, job: object) -> bool:
        """Runs `job(state)` on the main thread if no session has it."""
        with self._lock:
            if self._is_taken:
                return False
            self._is_taken = True
        self._jobs.put(job)
        return True

    def serve(self) -> None:
        """Runs what is claimed, until `stop`. Called on the main thread."""
        state = execution.main_state = ThreadState(True)
        while True:
            job = self._jobs.get()
            if job is None:
                return
            job(state)
            job = None
            with self._lock:
                self._is_taken = False

    def stop(self) -> None:
        """Ends `serve` when the present session's work is over."""
        self._jobs.put(None)

    def renew_lock(self) -> None:
        """For the child of a fork."""
        self._lock = allocate_lock()

    @property
    def is_current(self) -> bool:
        """Whether this is the main thread."""
        return execution.main_state is not None and execution.main_state.ident == get_ident()
