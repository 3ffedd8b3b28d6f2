"""`sys.stdout` and `sys.stderr` that know which call is writing.

What a call writes goes to its client when the client asked for it, whole lines at a time; everything else goes where
it always went, to the process's own streams, which the owner drains. The call is found by a context variable, so
that coroutines and the threads that a call starts are told apart.

A client that does not read slows the call down: sending waits. Only what a coroutine writes cannot wait, since all
coroutines share a thread; beyond a bound it is dropped, counted, and the count is told in its place.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock
from io import TextIOBase

from beep_host.after_import import AfterImport
from beep_host.current_call import current_call
from beep_host.shielding import shielded

# A text without an end of line is kept back no longer than this.
_MAX_PENDING = 8 * 1024
# A longer text is sent in pieces, so that each fits into a frame.
_MAX_PIECE = 1024 * 1024

_KINDS = ("stdout", "stderr")
_creation = allocate_lock()


class CallOutput:
    """What a call has written and is kept back, and what of it was dropped."""

    __slots__ = ("decoders", "dropped", "dropped_events", "input_rest", "lock", "pieces", "sizes")

    def __init__(self) -> None:
        # Threads that a call starts write too. Reentrant, for a signal's handler may print amid a print.
        from _thread import RLock

        self.lock = RLock()
        self.pieces: dict[str, list] = {"stdout": [], "stderr": []}
        self.sizes = {"stdout": 0, "stderr": 0}
        self.dropped = {"stdout": 0, "stderr": 0}
        self.dropped_events = 0
        # Decoders of what is written as bytes: a character may come in two writes.
        self.decoders: dict = {}
        # What of an input line was not asked for yet.
        self.input_rest = ""


class CallStream(TextIOBase):
    """One of the two streams. `real` is what it stands before."""

    mode = "w"
    line_buffering = True
    write_through = False

    def __init__(self, kind: str, real: object) -> None:
        super().__init__()
        self._kind = kind
        self._real = real
        self._bytes = _Bytes(self, kind, real)

    def write(self, text: str) -> int:
        """Writes text, to the client of the running call or to the process's stream."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        call = current_call.get(None)
        if call is None or call.finished:
            return self._real.write(text)
        # Shielded in both cases: code that does nothing but print is hardly ever found outside of this function.
        if self._kind in call.options:
            shielded(call, self._keep, call, text)
        else:
            shielded(call, self._real.write, text)
        return len(text)

    def _keep(self, call: object, text: str) -> None:
        kind = self._kind
        output = output_of(call)
        with output.lock:
            if not call.is_output_over:
                output.pieces[kind].append(text)
                output.sizes[kind] += len(text)
                if "\n" in text or output.sizes[kind] >= _MAX_PENDING:
                    flush_call(call, kind)
                return
        self._real.write(text)

    def flush(self) -> None:
        """Sends what is kept back."""
        call = current_call.get(None)
        if call is not None and call.output is not None and not call.finished:
            shielded(call, flush_call, call, self._kind)
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

    def reconfigure(self, **options: object) -> None:
        """Accepts what a `TextIOWrapper` accepts and changes nothing: text is UTF-8 on all ways."""

    @property
    def name(self) -> str:
        """`<stdout>` or `<stderr>`."""
        return f"<{self._kind}>"

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
        return self._bytes


class _Bytes:
    """`sys.stdout.buffer`: bytes to the same place, decoded as they come."""

    def __init__(self, stream: CallStream, kind: str, real: object) -> None:
        self._stream = stream
        self._kind = kind
        self._real = real
        self.raw = self
        self.closed = False

    def write(self, data: object) -> int:
        call = current_call.get(None)
        if call is None or call.finished or self._kind not in call.options:
            self._real.flush()
            return self._real.buffer.write(data)
        output = output_of(call)
        with output.lock:
            decoder = output.decoders.get(self._kind)
            if decoder is None:
                from codecs import getincrementaldecoder

                decoder = output.decoders[self._kind] = getincrementaldecoder("utf-8")("replace")
            text = decoder.decode(bytes(data))
        if text:
            self._stream.write(text)
        return len(data)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


def output_of(call: object) -> CallOutput:
    """The output of a call, made when it first writes."""
    output = call.output
    if output is None:
        with _creation:
            output = call.output
            if output is None:
                output = call.output = CallOutput()
    return output


def flush_call(call: object, kind: str | None = None, *, is_last: bool = False) -> None:
    """Sends what a call has written and is kept back: of one stream, or of both before its reply."""
    output = call.output
    with output.lock:
        for name in (kind,) if kind else _KINDS:
            pieces = output.pieces[name]
            if is_last and name in output.decoders:
                pieces.append(output.decoders[name].decode(b"", True))
            text = "".join(pieces)
            output.pieces[name] = []
            output.sizes[name] = 0
            # As JSON a character may take twelve bytes.
            most = min(_MAX_PIECE, max(1, call.client.server.limits.max_frame_bytes // 16))
            for at in range(0, len(text) or 1, most):
                _send_text(call, name, text[at : at + most], is_last)


def _send_text(call: object, name: str, text: str, is_last: bool) -> None:
    output = call.output
    dropped = output.dropped[name]
    told = text
    if dropped and (text or is_last):
        told = f"\n[{dropped} characters dropped: the client did not read them]\n{text}"
    if not told:
        return
    if call.reply.event(call, name, told, must=is_last):
        output.dropped[name] = 0
    else:
        output.dropped[name] += len(text)


def emit(call: object, kind: str, value: object, parts: tuple = (), binary: list | None = None) -> None:
    """Tells the client something of the call other than text, after the text that came before it."""
    shielded(call, _emit, call, kind, value, parts, binary)


def _emit(call: object, kind: str, value: object, parts: tuple, binary: list | None) -> None:
    output = call.output
    if output is not None:
        flush_call(call)
    if not call.reply.event(call, kind, value, parts, binary):
        output_of(call).dropped_events += 1


def call_that_asked(kind: str) -> object | None:
    """The running call, if its client wants to be told of this kind of event."""
    call = current_call.get(None)
    return None if call is None or call.finished or kind not in call.options else call


def finish_output(call: object) -> None:
    """Sends the last of what a call has written, and tells the owner of what was dropped."""
    flush_call(call, is_last=True)
    dropped = call.output.dropped_events
    if dropped:
        print(f"beep_host: dropped {dropped} events of call {call.id}: its client did not read them", file=sys.__stderr__)


def install() -> None:
    """Puts the streams in place, and lets threads inherit the call that started them."""
    from beep_host import questions

    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            # Lines of a process that is killed or crashes are worth a system call each.
            stream.reconfigure(line_buffering=True)
    sys.stdout = CallStream("stdout", sys.__stdout__)
    sys.stderr = CallStream("stderr", sys.__stderr__)
    questions.install()
    _let_threads_inherit()
    futures = sys.modules.get("concurrent.futures.thread")
    if futures is None:
        AfterImport("concurrent.futures.thread", _let_executors_inherit).install()
    else:
        _let_executors_inherit(futures)


def _let_threads_inherit() -> None:
    # A new thread begins with an empty context (before free-threaded 3.14); the call is put into it by hand.
    from threading import Thread

    start, bootstrap = Thread.start, Thread._bootstrap_inner

    def start_in_call(self: Thread) -> None:
        call = current_call.get(None)
        self._beep_host_call = call
        # From 3.14 on a thread runs in a context of its own, into which the call must be put.
        if call is not None and getattr(self, "_context", self) is None:
            from contextvars import Context

            self._context = Context()
            self._context.run(current_call.set, call)
        start(self)

    def bootstrap_in_call(self: Thread) -> None:
        call = self.__dict__.pop("_beep_host_call", None)
        if call is not None:
            current_call.set(call)
        bootstrap(self)

    start_in_call.__wrapped__ = start
    Thread.start = start_in_call
    Thread._bootstrap_inner = bootstrap_in_call


class _InCall:
    """A function that runs as part of the call which has given it to a thread of another one."""

    __slots__ = ("_call", "_function")

    def __init__(self, call: object, function: object) -> None:
        self._call = call
        self._function = function

    def __call__(self, *args: object, **kwargs: object) -> object:
        before = current_call.set(self._call)
        try:
            return self._function(*args, **kwargs)
        finally:
            current_call.reset(before)


def _let_executors_inherit(futures: object) -> None:
    # An executor's threads serve many calls: what counts is who has submitted the work.
    submit = futures.ThreadPoolExecutor.submit

    def submit_in_call(self: object, fn: object, /, *args: object, **kwargs: object) -> object:
        call = current_call.get(None)
        return submit(self, fn if call is None else _InCall(call, fn), *args, **kwargs)

    for name in ("__doc__", "__module__", "__name__", "__qualname__"):
        setattr(submit_in_call, name, getattr(submit, name))
    submit_in_call.__wrapped__ = submit
    futures.ThreadPoolExecutor.submit = submit_in_call
