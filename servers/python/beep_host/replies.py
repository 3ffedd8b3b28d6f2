"""Results, errors and events as the messages of our own protocol."""

from __future__ import annotations

from beep_host import raised, values
from beep_host.errors import error_payload
from beep_host.frames import check_size
from beep_host.json_text import dumps
from beep_host.operations import WithParts


class FrameReply:
    """Turns what calls say into messages for a sink: `event(json, parts)` and, once per request, `reply(json, parts)`."""

    __slots__ = ("sink",)

    def __init__(self, sink: object) -> None:
        self.sink = sink

    def finish(self, call: object, value: object) -> None:
        """The result."""
        if call.client.dropped:
            self._tell_dropped(call.client)
        kind = type(value)
        if kind is int and -0x1FFFFFFFFFFFFF <= value <= 0x1FFFFFFFFFFFFF and "result" not in call.options:
            self.sink.reply(b'[%d,"ok",%d]' % (call.id, value), ())
            return
        if kind is WithParts:
            check_size(call.client.server.limits.max_frame_bytes, b"", (value.part,))
            self.sink.reply(dumps([call.id, "ok", value.value]), (value.part,))
            return
        if call.operation not in _WITH_VALUE:
            self.sink.reply(dumps([call.id, "ok", value]), ())
            return
        word, json, parts = values.encode(value, call.options.get("result", "auto"), call.session)
        if word == "ok":
            self.sink.reply(b'[%d,"ok",%b]' % (call.id, json), ())
        elif word == "packed":
            self.sink.reply(b'[%d,"packed"]' % call.id, parts)
        else:
            self.sink.reply(b'[%d,"%b",%b]' % (call.id, word.encode(), json), parts)

    def fail(self, call: object, error: BaseException) -> None:
        """The error."""
        if call.client.dropped:
            self._tell_dropped(call.client)
        payload = error_payload(error)
        exception = payload.get("exception")
        if exception is not None:
            number = raised.keep(call.client, error)
            if number is not None:
                exception["id"] = number
        self.sink.reply(dumps([call.id, "error", payload]), ())

    def give_up(self, call: object) -> None:
        """The least that can be said, when neither the result nor its error could be made into a reply."""
        self.sink.reply(b'[%d,"error",{"code":"protocol","message":"The reply could not be made"}]' % call.id, ())

    def _tell_dropped(self, client: object) -> None:
        """Which of the client's functions Python has let go of since the last time."""
        ids = []
        try:
            while True:
                ids.append(client.dropped.pop())
        except IndexError:
            pass  # all are taken, the last perhaps by another thread, which replies at the same time
        if ids:
            self.sink.event(dumps([0, "dropped", ids]), ())

    def event(
        self, call: object, kind: str, value: object, parts: tuple = (), binary: list | None = None, *, must: bool = False
    ) -> bool:
        """Something before the reply; False when it was dropped, which happens to none that `must` arrive."""
        self.sink.event(_event(call, kind, value, parts, binary), parts)
        return True

    def without_waiting(self) -> LoopReply:
        """The same for the event loop's thread, which waits for no client."""
        return LoopReply(NonWaitingSink(self.sink))


class NonWaitingSink:
    """A sink on which a slow client makes nobody wait: what it does not read is kept."""

    __slots__ = ("offer",)

    def __init__(self, sink: object) -> None:
        self.offer = sink.offer

    def event(self, json: bytes, parts: list | tuple) -> None:
        """Takes an event."""
        self.offer(json, parts)

    def reply(self, json: bytes, parts: list | tuple) -> None:
        """Takes a reply."""
        self.offer(json, parts, is_reply=True)


class LoopReply(FrameReply):
    """A reply on the event loop's thread. What a call says is dropped when too much of it is not read."""

    __slots__ = ()

    def event(
        self, call: object, kind: str, value: object, parts: tuple = (), binary: list | None = None, *, must: bool = False
    ) -> bool:
        """See `FrameReply.event`."""
        return self.sink.offer(_event(call, kind, value, parts, binary), parts, may_drop=not must)


def _event(call: object, kind: str, value: object, parts: tuple, binary: list | None) -> bytes:
    json = dumps([call.id, kind, value] if binary is None else [call.id, kind, value, binary])
    check_size(call.client.server.limits.max_frame_bytes, json, parts)
    return json


# The operations whose result is a value of user code; all others answer with plain data of ours.
_WITH_VALUE = frozenset(("evaluate", "call", "get"))
