"""Our own backend's requests over HTTP: a body is a row of frames, and so is the answer (docs/PROTOCOL.md
§6)."""

from __future__ import annotations

from _struct import Struct

from beep_host.errors import HostError, VersionError
from beep_host.execution import Call, check_request
from beep_host.frames import MAX_FRAME_PARTS
from beep_host.http_exchange import Exchange
from beep_host.http_parser import HttpError, RequestHead
from beep_host.json_text import loads
from beep_host.nesting import nesting
from beep_host.protocol import PROTOCOL_VERSION, SESSION_HEADER
from beep_host.replies import FrameReply, dumps

_PREFIX = Struct("<II")
_SESSION_FIELD = SESSION_HEADER.encode()


def hand_over(
    server: object,
    head: RequestHead,
    body: bytes | bytearray,
    max_buffered_bytes: int,
    sender: object | None = None,
) -> tuple:
    """Hands the body's calls to their sessions; gives the exchange of their answers, and `cancel`."""
    requests = [(json, check(json), parts) for json, parts in split_frames(body)]
    if not requests:
        raise HttpError(400, "protocol", "Cannot read request: its body contains no frame")
    # A resume without a number of its own gets no answer: it is one.
    answered = [request for _, request, _ in requests if request[0] != 0 or request[1] != "resume"]
    exchange = Exchange(len(answered), max_buffered_bytes, sender)
    reply = FrameReply(exchange)
    if requests[0][1][1] == "hello":
        _open(server, requests, exchange)
        return exchange, _nothing
    client = _client_of(server, head)
    calls = []
    for json, (call_id, operation, args, options), parts in requests:
        call = Call(call_id, operation, args, parts, options, reply)
        if len(json) <= nesting.shallow_bytes or not client.refuses_depth(call, json):
            calls.append(client.start(call))
        if call_id > client.last_read:
            client.last_read = call_id
    return exchange, lambda: _cancel(server, calls)


def split_frames(body: bytes | bytearray) -> list[tuple[bytes, list]]:
    """The frames of a body that is there as a whole; parts are bytearrays of their own."""
    view = memoryview(body)
    frames = []
    at, end = 0, len(body)
    while at < end:
        if end - at < 8:
            raise _cut_short()
        json_bytes, count = _PREFIX.unpack_from(body, at)
        at += 8
        if count > MAX_FRAME_PARTS:
            raise HttpError(
                413, "limit", f"Cannot read frame: it has {count} parts, the most is {MAX_FRAME_PARTS}"
            )
        lengths: tuple = ()
        if count:
            if end - at < 4 * count:
                raise _cut_short()
            lengths = Struct(f"<{count}I").unpack_from(body, at)
            at += 4 * count
        if end - at < json_bytes + sum(lengths):
            raise _cut_short()
        json = bytes(view[at : at + json_bytes])
        at += json_bytes
        parts = []
        for length in lengths:
            parts.append(bytearray(view[at : at + length]))
            at += length
        frames.append((json, parts))
    return frames


def check(json: bytes) -> tuple:
    """The fields of a request, from its JSON."""
    try:
        return check_request(loads(json))
    except HostError as error:
        raise HttpError(400, error.code, error.message) from None


def _open(server: object, requests: list, exchange: Exchange) -> None:
    _, (call_id, _, args, _), _ = requests[0]
    if len(requests) > 1 or len(args) != 1 or type(args[0]) is not dict:
        raise HttpError(400, "protocol", "Cannot greet: hello takes one object and comes alone")
    version = args[0].get("protocol")
    if version != PROTOCOL_VERSION:
        error = VersionError(
            f"Cannot greet client: it speaks protocol {version!r}, this server {PROTOCOL_VERSION}",
            hint="Use the same version of @beep/python-host on both sides.",
        )
        exchange.reply(dumps([call_id, "error", error.payload()]))
        return
    client = server.open_client()
    exchange.reply(dumps([call_id, "ok", server.welcome(client)]))


def _client_of(server: object, head: RequestHead) -> object:
    name = head.headers.get(_SESSION_FIELD)
    if name is None:
        raise HttpError(
            400, "protocol", f"Cannot take calls: the header {SESSION_HEADER} is missing; say hello first"
        )
    try:
        client = server.find_client(name.decode("latin-1"))
    except HostError as error:
        raise HttpError(
            404,
            error.code,
            error.message,
            hint="A session without a request for sessionIdleMs ends: connect again.",
        ) from None
    client.touch()
    return client


def _cancel(server: object, calls: list) -> None:
    for call in calls:
        if not call.finished:
            server.cancel_in_background(call, None)


def _nothing() -> None:
    """A hello has nothing that could be cancelled."""


def _cut_short() -> HttpError:
    return HttpError(400, "protocol", "Cannot read frame: the body ends inside it")
