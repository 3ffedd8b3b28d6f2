"""What the calls of a `Run` say, as one stream."""

from __future__ import annotations

from _thread import allocate_lock

from beep_host.execution import Call
from beep_host.rpc_calls import Procedure
from beep_host.rpc_status import status_of


class RunSink:
    """Counts the ends of the calls of one stream, and ends it after the last. Native calls write to it directly."""

    def __init__(self, answer: object, calls: int) -> None:
        self.answer = answer
        self._left = calls
        self._lock = allocate_lock()

    def event(self, json: bytes, parts: list | tuple) -> None:
        """A native message before the reply."""
        self.answer.send({"native": {"json": json, "parts": parts}})

    def reply(self, json: bytes, parts: list | tuple) -> None:
        """A native reply."""
        self.finish({"native": {"json": json, "parts": parts}})

    def offer(self, json: bytes, parts: list | tuple, *, is_reply: bool = False, may_drop: bool = False) -> bool:
        """A native message from a thread that must not wait; False when it was dropped."""
        message = {"native": {"json": json, "parts": parts}}
        if is_reply:
            self.finish(message)
            return True
        return self.answer.offer(message, may_drop)

    def finish(self, message: dict) -> None:
        """The last that one of the calls says."""
        # Under the lock to the end, or the last one could overtake another, which would come after the stream's end.
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self.answer.send_last(message)
            else:
                self.answer.offer(message, False)


class RunReply:
    """What a call of a typed request says in a `Run`."""

    __slots__ = ("_call_id", "_field", "_procedure", "_sink")

    def __init__(self, procedure: Procedure, field: str, call_id: int, sink: RunSink) -> None:
        self._procedure = procedure
        self._field = field
        self._call_id = call_id
        self._sink = sink

    def finish(self, call: Call, value: object) -> None:
        """The result."""
        self._finish("result", {self._field: self._procedure.answer(value, call)})

    def fail(self, call: Call, error: BaseException) -> None:
        """The error."""
        self._finish("error", status_of(error).detail)

    def event(
        self, call: Call, kind: str, value: object, parts: tuple = (), binary: list | None = None, *, must: bool = False
    ) -> bool:
        """Something before that; what the schema does not know is passed over."""
        write = _EVENTS.get(kind)
        if write is not None:
            self._sink.answer.send({"call_id": self._call_id, kind: write(value, parts, binary)})
        return True

    def without_waiting(self) -> object:
        """The same for the event loop's thread, which waits for no client."""
        return _LoopReply(self._procedure, self._field, self._call_id, self._sink)

    def _finish(self, kind: str, message: dict) -> None:
        self._sink.finish({"call_id": self._call_id, kind: message})


class _LoopReply(RunReply):
    __slots__ = ()

    def event(
        self, call: Call, kind: str, value: object, parts: tuple = (), binary: list | None = None, *, must: bool = False
    ) -> bool:
        """See `RunReply.event`."""
        write = _EVENTS.get(kind)
        if write is None:
            return True
        return self._sink.answer.offer({"call_id": self._call_id, kind: write(value, parts, binary)}, not must)


def _text(value: str, parts: tuple, binary: list | None) -> str:
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def _log(value: dict, parts: tuple, binary: list | None) -> dict:
    names = {"levelName": "level_name"}
    return {names.get(name, name): item for name, item in value.items() if item is not None}


def _progress(value: dict, parts: tuple, binary: list | None) -> dict:
    return {name: item for name, item in value.items() if item is not None}


def _display(value: dict, parts: tuple, binary: list | None) -> dict:
    from json import dumps

    forms = [
        {"mime_type": mime, "text": item if type(item) is str else dumps(item)} for mime, item in value.items()
    ]
    return {"forms": forms + [{"mime_type": mime, "data": part} for mime, part in zip(binary or (), parts)]}


_EVENTS = {"stdout": _text, "stderr": _text, "log": _log, "progress": _progress, "display": _display}
