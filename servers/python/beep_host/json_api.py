"""The commands of the original's clients, for people and programs that speak plain JSON (docs/PROTOCOL.md
§7).

One table serves all wires: `POST /api/<command>` (`http_connection.py`), lines on a pipe (`newline_json.py`), and
`POST /rpc/…` (`rpc_dialect.py`), which spells the keys in another way.

    payload ── Command.arguments ──► operation ── on its session's thread ──► Command.answer ── spelling ── JSON
"""

from __future__ import annotations

from _thread import allocate_lock
from itertools import count

from beep_host import values
from beep_host.errors import ArgumentError, HostError, error_payload
from beep_host.execution import Call
from beep_host.http_parser import HttpError, RequestHead
from beep_host.json_payload import (
    HANDLE_PREFIX,
    Payload,
    call_arguments,
    create_arguments,
    evaluate_arguments,
    has_handle,
    tagged,
)
from beep_host.json_text import loads_finite, loads_plain
from beep_host.protocol import SESSION_HEADER
from beep_host.replies import dumps

# Below zero, since a client that says hello numbers its own calls from one.
_next_id = count(-1, -1).__next__
_SESSION_FIELD = SESSION_HEADER.encode()
_API_PREFIX = len(b"/api/")
_STATUSES = {"argument": 400, "protocol": 400, "stale-handle": 404, "cancelled": 409, "limit": 413, "conversion": 422}


class Command:
    """One command: the operation behind it, how its arguments are read, and how its result is written."""

    __slots__ = ("answer", "arguments", "operation")

    def __init__(self, operation: str, arguments: object, answer: object) -> None:
        """`answer(value, context)` gives what the client is told, or its JSON where no key of it has a spelling."""
        self.operation = operation
        self.arguments = arguments
        self.answer = answer


class JsonReply:
    """Waits for the end of one call and holds its answer. The call's `reply`."""

    def __init__(self, command: Command, is_exact: bool, spell: object | None = None) -> None:
        """`spell(answer)` gives an answer with its keys in the spelling of a client, where that is not camelCase."""
        self.status = 200
        self.text = b""
        self.message: str | None = None
        self.call: Call | None = None
        self._command = command
        self._is_exact = is_exact
        self._spell = spell
        self._lock = allocate_lock()
        self._signal = allocate_lock()  # held until the answer is there
        self._signal.acquire()
        self._is_done = False
        self._notify = None

    # What a call tells its reply, from whatever thread it ran on.

    def finish(self, call: Call, value: object) -> None:
        """The result."""
        self.answer(_Context(call.session, value, self._is_exact), value)

    def fail(self, call: Call, error: BaseException) -> None:
        """The error."""
        self.refuse(error)

    def event(self, call: Call, kind: str, value: object) -> None:
        """Nothing: this dialect knows no events, and asks for none."""

    def answer(self, context: _Context | None, value: object = None) -> None:
        """Answers with a result."""
        answer = self._command.answer(value, context)
        if type(answer) is not bytes:
            answer = dumps(answer if self._spell is None else self._spell(answer))
        self.text = answer
        self._done()

    def refuse(self, error: BaseException) -> None:
        """Answers with an error."""
        self.status = status_of(error)
        self.message = error_payload(error)["message"]
        self.text = error_body(error)
        self._done()

    def _done(self) -> None:
        with self._lock:
            self._is_done = True
            self._signal.release()
            if self._notify is not None:
                self._notify()

    # What the connection's thread asks.

    def wait(self, seconds: float = -1) -> bool:
        """Waits for the answer, at most so long; says whether it is there."""
        if not self._signal.acquire(True, seconds):
            return False
        self._signal.release()
        return True

    def notify(self, notify: object) -> bool:
        """Has `notify` called when the answer comes; says whether it is there already."""
        with self._lock:
            self._notify = notify
            return self._is_done

    def cancel(self) -> None:
        """Stops the call."""
        call = self.call
        if call is not None and not call.finished:
            call.client.server.cancel_in_background(call, None)


class _Context:
    """What `values` asks of a session; tells also whether it was the result itself that became a handle."""

    __slots__ = ("_session", "_value", "converters", "handle", "is_exact")

    def __init__(self, session: object, value: object, is_exact: bool) -> None:
        self._session = session
        self._value = value
        self.is_exact = is_exact
        self.converters = getattr(session, "converters", None)
        self.handle: tuple[int, str] | None = None

    def new_handle(self, value: object) -> tuple[int, str]:
        """Holds an object and gives its id and the name of its type."""
        handle = self._session.new_handle(value)
        if value is self._value:
            self.handle = handle
        return handle


def run(
    client: object,
    name: str,
    payload: object,
    is_exact: bool = False,
    commands: dict | None = None,
    spell: object | None = None,
) -> JsonReply:
    """Starts a command of a table; its reply is told what came of it."""
    command = (COMMANDS if commands is None else commands).get(name)
    if command is None:
        raise ArgumentError(f'Cannot run command "{name:.80}": there is none of this name')
    if payload is None:
        payload = {}
    if type(payload) is not dict:
        raise ArgumentError(f'Cannot run command "{name}": its payload is not an object')
    reply = JsonReply(command, is_exact, spell)
    if command.operation == "health":
        reply.answer(None)
        return reply
    args = command.arguments(Payload(name, payload))
    options = {}
    if command.operation == "venv":
        # It waits for the host, and is no business of the session's thread.
        options["concurrent"] = 1
    elif is_exact:
        options["tagged"] = 1
    elif has_handle(args):
        args = tagged(args)
        options["tagged"] = 1
    reply.call = client.start(Call(_next_id(), command.operation, args, [], options, reply))
    return reply


def hand_over(server: object, head: RequestHead, body: bytes | bytearray) -> JsonReply:
    """Starts the command of an HTTP request, whose path has been judged."""
    name = head.path[_API_PREFIX:].decode("latin-1").replace("-", "_").replace("/", "_")
    session = head.headers.get(_SESSION_FIELD)
    try:
        client = server.default_client if session is None else server.find_client(session.decode("latin-1"))
        client.touch()
        is_exact = b"exact=1" in head.query.split(b"&")
        payload = None if head.method == b"GET" else (loads_finite if is_exact else loads_plain)(bytes(body))
        return run(client, name, payload, is_exact)
    except HostError as error:
        # Everything of the request was understood as HTTP: the connection can go on.
        reply = JsonReply(COMMANDS[name], False)
        reply.refuse(error)
        return reply


def status_of(error: BaseException) -> int:
    """The HTTP status that an error is answered with."""
    if isinstance(error, HttpError):
        return error.status
    if isinstance(error, HostError):
        return _STATUSES.get(error.code, 400)
    # What asking the host raises knows its own.
    status = getattr(error, "http_status", 500)
    return status if type(status) is int and 400 <= status < 600 else 500


def error_body(error: BaseException) -> bytes:
    """An error as JSON: `{error, type, traceback, code, hint?}`."""
    payload = error_payload(error)
    exception = payload.get("exception")
    body = {
        "error": payload["message"],
        "type": exception["type"] if exception else type(error).__name__,
        "traceback": exception["traceback"] if exception else None,
        "code": payload["code"],
    }
    if "hint" in payload:
        body["hint"] = payload["hint"]
    return dumps(body)


# -- writing answers


def _value(value: object, context: _Context) -> dict | bytes:
    if context.is_exact:
        return b'{"value":%b}' % values.encode_tagged(value, "auto", context, inline=True)[0]
    plain = values.plain(value, context)
    if context.handle is not None:
        return {"isHandle": True, **_handle(context.handle, context)}
    return {"value": plain}


def _handle(value: tuple | list, context: _Context) -> dict:
    return {"handleId": f"{HANDLE_PREFIX}{value[0]}", "typeName": value[1]}


def _module(value: object, context: _Context) -> dict:
    return {"handleId": f"{HANDLE_PREFIX}{value[0]}"}


def _success(value: object, context: _Context) -> dict:
    return {"success": True}


def _available(value: object, context: _Context) -> dict:
    return {"available": value}


def _venv(action: str) -> Command:
    def arguments(payload: Payload) -> list:
        fields = {key: payload.get(key, str) for key in ("name", "providerName", "modelId", "path")}
        return [action, {**fields, "packages": payload.get("packages", list)}]

    return Command("venv", arguments, _json)


def _json(value: object, context: _Context) -> object:
    return value


def _health(value: object, context: object) -> dict:
    return {"status": "ok"}


def _floats(value: object, context: _Context) -> bytes:
    return dumps(values.plain(_items(value), context))


def _rows(value: object, context: _Context) -> bytes:
    items = _items(value)
    rows, columns = value.value
    return dumps(values.plain([items[row * columns : (row + 1) * columns] for row in range(rows)], context))


def _items(value: object) -> list:
    from _struct import unpack

    data = memoryview(value.part).cast("B")
    return list(unpack(f"<{len(data) // 4}f", data))


HEALTH = b'{"status":"ok"}'

COMMANDS = {
    "ping": Command("health", None, _health),
    "import": Command("import", lambda payload: [payload.text("moduleName")], _module),
    "create": Command("create", create_arguments, _handle),
    "call": Command("call", call_arguments, _value),
    "getattr": Command(
        "get", lambda payload: [payload.handle("handleId"), payload.text("attributeName")], _value
    ),
    "setattr": Command(
        "set",
        lambda payload: [payload.handle("handleId"), payload.text("attributeName"), payload.value("value")],
        _success,
    ),
    "eval": Command("evaluate", evaluate_arguments, _value),
    "dispose": Command("release", lambda payload: [[payload.handle("handleId")]], _success),
    "tofloatarray": Command("floats", lambda payload: [payload.handle("handleId")], _floats),
    "tofloatarray2d": Command("floats2d", lambda payload: [payload.handle("handleId")], _rows),
    "module_available": Command("available", lambda payload: [payload.text("moduleName")], _available),
    "wrap": Command("wrap", lambda payload: [payload.value("value")], _handle),
    "venv_create": _venv("create"),
    "venv_delete": _venv("delete"),
    "venv_install": _venv("install"),
    "venv_list": _venv("list"),
}


def post_paths() -> list:
    """The paths of the commands over HTTP, below `/api/`."""
    return [_path_of(name) for name in COMMANDS if name not in ("ping", "venv_list")]


# Read by GET, for it changes nothing.
GET_PATHS = ("venv/list",)


def _path_of(name: str) -> str:
    group, _, rest = name.partition("_")
    return f"venv/{rest}" if group == "venv" else name.replace("_", "-")
