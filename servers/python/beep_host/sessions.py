"""A session: a namespace, handles and one thread, on which its synchronous calls run in the order sent."""

from __future__ import annotations

import builtins
import sys
from _thread import allocate_lock
from contextvars import Context
from itertools import count

from beep_host.callbacks import HostFunction
from beep_host.errors import CallCancelled, StaleHandle
from beep_host.execution import Call, ThreadState, run_call
from beep_host.objects import HandleTable
from beep_host.read_ahead import Reader

_next_session = count(1).__next__
_ModuleType = type(sys)


class Session:
    """A namespace, its handles and its thread."""

    def __init__(self, client: object) -> None:
        server = client.server
        self.client = client
        self.server = server
        # What `values.encode` may fill.
        self.max_frame_bytes = server.limits.max_frame_bytes
        # Which thread is the session's own, and how a callback waits on it: set when the thread begins.
        self.thread_ident = 0
        self.waiter: object | None = None
        self.handles = HandleTable(server.limits.max_handles)
        self.context = Context()
        # Kept apart from the module, whose own `__name__` is user code's to delete.
        self.module_name = f"beep_session_{_next_session()}"
        self.module = _ModuleType(self.module_name)
        self.namespace = self.module.__dict__
        self.namespace["__builtins__"] = builtins.__dict__
        # A real module, so that pickle, dataclasses and inspect find what code defines.
        sys.modules[self.module_name] = self.module
        self.is_closed = False
        self._queue = None
        self._reader: Reader | None = None
        self._lock = allocate_lock()

    # What `values.decode` asks for.

    def handle(self, handle_id: int) -> object:
        """The object of a handle."""
        return self.handles.get(handle_id)

    def function(self, function_id: int, is_async: bool) -> HostFunction:
        """A callable for one of the client's functions."""
        return HostFunction(self, function_id, is_async)

    # What `values.encode` asks for.

    @property
    def converters(self) -> dict:
        """Which attributes make up the image of instances of which classes."""
        return self.client.converters

    def new_handle(self, value: object) -> tuple[int, str]:
        """Holds an object and gives its id and the name of its type."""
        return self.handles.add(value)

    def drop_handles(self, ids: list) -> None:
        """Lets go of handles that the client will never hear of."""
        for handle_id in ids:
            self.handles.release(handle_id)

    # The thread.

    def submit(self, call: Call) -> None:
        """Queues a call for the session's thread, which is started or claimed by the first."""
        with self._lock:
            if self.is_closed:
                stale = True
            else:
                stale = False
                if self._queue is None:
                    self._start()
                self._queue.put(call)
                if self._reader is not None:
                    self._reader.ring()
        if stale:
            call.fail(StaleHandle("Cannot run call: its session is closed"))

    def _start(self) -> None:
        from _queue import SimpleQueue

        self._queue = SimpleQueue()
        self.server.run_session(self, self._serve_queue)

    def _serve_queue(self, state: ThreadState) -> None:
        queue = self._queue
        waiter = QueueWaiter(queue, state)
        self.thread_ident = state.ident
        self.waiter = waiter
        reader = self._reader = Reader(queue, state, self.server.rings_sessions)
        try:
            while True:
                if waiter.deferred:
                    reader.let_go()
                    call = waiter.deferred.pop(0)
                else:
                    call = reader.next()
                if call is None:
                    return
                if call is _WAKE:
                    continue
                run_call(call, state)
                # The loop's own variable must not keep the call's arguments alive until the next one.
                call = None
        finally:
            # From here on nobody rings: the descriptors of its bell may be those of other files at once.
            with self._lock:
                self._reader = None
            reader.close()

    def close(self) -> None:
        """Ends the session: queued calls fail, handles and names go, the thread is given back."""
        with self._lock:
            if self.is_closed:
                return
            self.is_closed = True
            if self._queue is not None:
                self._queue.put(None)
                if self._reader is not None:
                    self._reader.ring()

    def ended(self) -> None:
        """Called on the session's thread when it has nothing more to run (and by the client when it never had one)."""
        queue = self._queue
        while queue is not None and not queue.empty():
            call = queue.get()
            if call is not None and call is not _WAKE:
                call.fail(CallCancelled("The call was cancelled: its session ended"))
        self.handles.clear()
        sys.modules.pop(self.module_name, None)
        self.namespace.clear()

    def renew_lock(self) -> None:
        """For the child of a fork."""
        self._lock = allocate_lock()

    @property
    def has_thread(self) -> bool:
        """Whether a queue-fed thread serves the session."""
        return self._queue is not None


class QueueWaiter:
    """How a session's thread that lives on a queue waits for a callback: it goes on taking from the queue."""

    # The event goes out on the call's own answer.
    reply = None

    def __init__(self, queue: object, state: ThreadState) -> None:
        self._queue = queue
        self._state = state
        self.deferred: list = []

    def wake(self) -> None:
        """Makes `wait` look at its invocation; called from any thread."""
        self._queue.put(_WAKE)

    def wait(self, invocation: object) -> None:
        """Runs nested what the client's function calls, and keeps everything else for later."""
        while invocation.answer is None:
            call = self._queue.get()
            if call is _WAKE:
                continue
            if call is not None and is_nested(call, self._state):
                run_call(call, self._state)
            else:
                self.deferred.append(call)


_WAKE = object()


def is_nested(call: Call, state: ThreadState) -> bool:
    """Whether a call was made by a function that a call running on this thread waits for."""
    parent = call.options.get("parent")
    if parent is None:
        return False
    running = state.running
    while running is not None:
        if running.id == parent and running.client is call.client:
            return True
        running = running.outer
    return False
