"""`sys.stdout` and `sys.stderr` that know which call is writing.

What a call writes goes to its client when the client asked for it, whole lines at a time; everything else goes where
it always went, to the process's own streams, which the owner drains. The call is found by a context variable, so
that coroutines and the threads that a call starts are told apart.
"""

from __future__ import annotations

import sys
from io import TextIOBase

from beep_host.execution import current_call

# A text without an end of line is kept back no longer than this.
_MAX_PENDING = 8 * 1024


class CallStream(TextIOBase):
    """One of the two streams. `real` is what it stands before."""

    def __init__(self, kind: str, real: object) -> None:
        super().__init__()
        self._kind = kind
        self._real = real

    def write(self, text: str) -> int:
        """Writes text, to the client of the running call or to the process's stream."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        call = current_call.get(None)
        if call is None or call.finished or self._kind not in call.options:
            return self._real.write(text)
        pending = call.output
        if pending is None:
            pending = call.output = {"stdout": [], "stderr": []}
        pieces = pending[self._kind]
        pieces.append(text)
        if "\n" in text or sum(map(len, pieces)) >= _MAX_PENDING:
            flush_call(call, self._kind)
        return len(text)

    def flush(self) -> None:
        """Sends what is kept back."""
        call = current_call.get(None)
        if call is not None and call.output is not None and not call.finished:
            flush_call(call, self._kind)
        self._real.flush()

    def fileno(self) -> int:
        """The descriptor of the process's own stream, which is what a subprocess is given."""
        return self._real.fileno()

    def isatty(self) -> bool:
        """Never: lines go to a program."""
        return False

    def readable(self) -> bool:
        """False."""
        return False

    def writable(self) -> bool:
        """True."""
        return True

    def close(self) -> None:
        """Does nothing: the streams live as long as the server."""

    @property
    def encoding(self) -> str:
        """Text is UTF-8 on all ways."""
        return "utf-8"

    @property
    def errors(self) -> str:
        """What of bytes cannot be decoded is replaced."""
        return "replace"

    @property
    def buffer(self) -> object:
        """A binary stream that writes into this one."""
        return _Bytes(self)


class _Bytes:
    """`sys.stdout.buffer`: bytes to the same place, decoded as they come."""

    def __init__(self, stream: CallStream) -> None:
        self._stream = stream
        self.raw = self

    def write(self, data: object) -> int:
        self._stream.write(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True


def flush_call(call: object, kind: str | None = None) -> None:
    """Sends what a call has written and is kept back: of one stream, or of both before its reply."""
    pending = call.output
    for name in (kind,) if kind else ("stdout", "stderr"):
        pieces = pending[name]
        if pieces:
            # Taken item by item from the front, since another thread may be adding at the end.
            count = len(pieces)
            text = "".join(pieces[:count])
            del pieces[:count]
            call.event(name, text)


def install() -> None:
    """Puts the two streams in place, and lets threads inherit the call that started them."""
    sys.stdout = CallStream("stdout", sys.__stdout__)
    sys.stderr = CallStream("stderr", sys.__stderr__)
    _let_threads_inherit()


def _let_threads_inherit() -> None:
    # A new thread begins with an empty context (before free-threaded 3.14); the call is put into it by hand.
    from threading import Thread

    start, bootstrap = Thread.start, Thread._bootstrap_inner

    def start_in_call(self: Thread) -> None:
        self._beep_host_call = current_call.get(None)
        start(self)

    def bootstrap_in_call(self: Thread) -> None:
        call = self.__dict__.pop("_beep_host_call", None)
        if call is not None:
            current_call.set(call)
        bootstrap(self)

    start_in_call.__wrapped__ = start
    Thread.start = start_in_call
    Thread._bootstrap_inner = bootstrap_in_call
