"""The threads of `concurrent` calls: as many as are needed at once up to a cap, beyond which calls queue.

A call that a client's function makes never queues: the threads of the pool may all be waiting for such functions.
Neither does a thread count while its call waits for a function of the host, which may call Python for any client.
"""

from __future__ import annotations

from _queue import SimpleQueue
from _thread import allocate_lock

from beep_host.execution import ThreadState, run_call
from beep_host.threads import ServerThread


class CallPool:
    """Runs calls on threads, each in a copy of its session's context."""

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._lock = allocate_lock()
        self._queue = SimpleQueue()
        self._threads = 0
        # Threads waiting for work less calls waiting for a thread.
        self._idle = 0
        # The calls that run, and how many of each one's threads wait for the host.
        self._asides: dict = {}

    def run(self, call: object) -> None:
        """Runs the call on a thread of the pool, in no stated order."""
        with self._lock:
            starts = self._idle <= 0 and (self._threads < self._max_threads or "parent" in call.options)
            if starts:
                self._threads += 1
            else:
                self._idle -= 1
                self._queue.put(call)
        if starts:
            self._start(call)

    def set_aside(self, call: object) -> None:
        """Lets another call run in the place of one that waits for the host; of calls that run elsewhere it does nothing."""
        queued = None
        with self._lock:
            asides = self._asides.get(call)
            if asides is None:
                return
            self._asides[call] = asides + 1
            if asides == 0:
                self._threads -= 1
                if self._idle < 0:
                    # There are more in the queue than threads that are about to take one.
                    queued = self._queue.get_nowait()
                    self._idle += 1
                    self._threads += 1
        if queued is not None:
            self._start(queued)

    def take_back(self, call: object) -> None:
        """The wait is over, one for each `set_aside`."""
        with self._lock:
            asides = self._asides.get(call)
            if asides:  # a thread that the call has started may wait longer than the call lives
                self._asides[call] = asides - 1
                if asides == 1:
                    self._threads += 1

    def _start(self, call: object) -> None:
        try:
            # In a list, from which the thread takes it: a thread keeps its arguments for as long as it runs.
            ServerThread("beep-concurrent-call", self._serve, [call]).start()
        except RuntimeError as error:
            with self._lock:
                self._threads -= 1
            call.fail(error)

    def _serve(self, first: list) -> None:
        state = ThreadState(False)
        call = first.pop()
        while True:
            self._asides[call] = 0
            call.session.context.copy().run(run_call, call, state)
            with self._lock:
                if self._asides.pop(call):
                    self._threads += 1
                call = None
                if self._threads > self._max_threads:
                    self._threads -= 1
                    return
                self._idle += 1
            call = self._queue.get()
