"""The threads on which grpcio runs its handlers: ours, which no trace function of user code reaches, and a hand-over that costs less
than that of `ThreadPoolExecutor`."""

from __future__ import annotations

from _queue import SimpleQueue
from _thread import allocate_lock
from concurrent.futures import Executor, Future

from beep_host.threads import ServerThread


class HandlerThreads(Executor):
    """As many threads as handlers run at once, up to a cap; beyond it handlers wait."""

    def __init__(self, max_threads: int) -> None:
        # grpcio looks at this name to say how many handlers run at once.
        self._max_workers = max_threads
        self._lock = allocate_lock()
        self._queue: SimpleQueue = SimpleQueue()
        self._threads = 0
        # Threads that wait for work, less work that waits for a thread.
        self._idle = 0

    def submit(self, fn: object, /, *args: object, **kwargs: object) -> Future:
        """Runs a handler."""
        future: Future = Future()
        work = (future, fn, args, kwargs)
        with self._lock:
            starts = self._idle <= 0 and self._threads < self._max_workers
            if starts:
                self._threads += 1
            else:
                self._idle -= 1
                self._queue.put(work)
        if starts:
            try:
                ServerThread("beep-grpc", self._serve, [work]).start()
            except RuntimeError:
                with self._lock:
                    self._threads -= 1
                raise
        return future

    def _serve(self, first: list) -> None:
        work = first.pop()
        while True:
            future, fn, args, kwargs = work
            work = None
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)
            future = fn = args = kwargs = None
            with self._lock:
                self._idle += 1
            work = self._queue.get()
