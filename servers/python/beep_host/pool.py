"""The threads of `concurrent` calls: as many as are needed at once up to a cap, beyond which calls queue."""

from __future__ import annotations

from _queue import SimpleQueue
from _thread import allocate_lock

from beep_host.execution import ThreadState, run_call


class CallPool:
    """Runs calls on threads, each in a copy of its session's context."""

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._lock = allocate_lock()
        self._queue = SimpleQueue()
        self._threads = 0
        # Threads waiting for work less calls waiting for a thread.
        self._idle = 0

    def run(self, call: object) -> None:
        """Runs the call on a thread of the pool, in no stated order."""
        with self._lock:
            starts = self._idle <= 0 and self._threads < self._max_threads
            if starts:
                self._threads += 1
            else:
                self._idle -= 1
        self._queue.put(call)
        if starts:
            import threading

            threading.Thread(target=self._serve, name="beep-concurrent-call", daemon=True).start()

    def _serve(self) -> None:
        state = ThreadState(False)
        while True:
            call = self._queue.get()
            call.session.context.copy().run(run_call, call, state)
            call = None
            with self._lock:
                self._idle += 1
