"""The commands of the original's clients, for people and programs that speak plain JSON (docs/PROTOCOL.md
§7).

One table serves both wires: `POST /api/<command>` (`http_connection.py`) and lines on a pipe
(`newline_json.py`).

    payload ── Command.arguments ──► operation ── on its session's thread ──► Command.answer ── JSON
"""

from __future__ import annotations

from _thread import allocate_lock
from itertools import count

from beep_host import values
from beep_host.errors import ArgumentError, HostError, error_payload
from beep_host.execution import Call
from beep_host.http_parser import HttpError, RequestHead
from beep_host.json_text import loads, loads_plain
from beep_host.protocol import SESSION_HEADER
from beep_host.replies import dumps

# Below zero, since a client that says hello numbers its own calls from one.
_next_id = count(-1, -1).__next__
_SESSION_FIELD = SESSION_HEADER.encode()
_API_PREFIX = len(b"/api/")
_HANDLE_PREFIX = "handle_"
_STATUSES = {"argument": 400, "protocol": 400, "stale-handle": 404, "cancelled": 409, "limit": 413, "conversion": 422}


class Command:
    """One command: the operation behind it, how its arguments are read, and how its result is written."""

    __slots__ = ("answer", "arguments", "operation")

    def __init__(self, operation: str, arguments: object, answer: object) -> None:
        self.operation = operation
        self.arguments = arguments
        self.answer = answer


class JsonReply:
    """Waits for the end of one call and holds its answer. The call's `reply`."""

    def __init__(self, command: Command, is_exact: bool) -> None:
        self.status = 200
        self.text = b""
        self.message: str | None = None
        self.call: Call | None = None
        self._command = command
        self._is_exact = is_exact
        self._lock = allocate_lock()
        self._signal = allocate_lock()  # held until the answer is there
        self._signal.acquire()
        self._is_done = False
        self._notify = None

    # What a call tells its reply, from whatever thread it ran on.

    def finish(self, call: Call, value: object) -> None:
        """The result."""
        self.text = self._command.answer(value, _Context(call.session, value, self._is_exact))
        self._done()

    def fail(self, call: Call, error: BaseException) -> None:
        """The error."""
        self.refuse(error)

    def event(self, call: Call, kind: str, value: object) -> None:
        """Nothing: this dialect knows no events, and asks for none."""

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
    client: object, name: str, payload: object, is_exact: bool = False, commands: dict | None = None
) -> JsonReply:
    """Starts a command of a table; its reply is told what came of it."""
    command = (COMMANDS if commands is None else commands).get(name)
    if command is None:
        raise ArgumentError(f'Cannot run command "{name:.80}": there is none of this name')
    if payload is None:
        payload = {}
    if type(payload) is not dict:
        raise ArgumentError(f'Cannot run command "{name}": its payload is not an object')
    reply = JsonReply(command, is_exact)
    if command.operation == "health":
        reply.text = HEALTH if command.answer is None else command.answer(None, None)
        reply._done()
        return reply
    args = command.arguments(_Payload(name, payload))
    options = {}
    if command.operation == "venv":
        # It waits for the host, and is no business of the session's thread.
        options["concurrent"] = 1
    elif is_exact:
        options["tagged"] = 1
    elif _has_handle(args):
        args = _tagged(args)
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
        payload = None if head.method == b"GET" else (loads if is_exact else loads_plain)(bytes(body))
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


# -- reading payloads


class _Payload:
    """The keys of a request; null means absent."""

    def __init__(self, command: str, payload: dict) -> None:
        self._command = command
        self._payload = payload

    def get(self, key: str, kind: type, default: object = None) -> object:
        value = self._payload.get(key)
        if value is None:
            return default
        if type(value) is not kind:
            raise self._wrong(key, f"it must be {_KINDS[kind]}")
        return value

    def text(self, key: str) -> str:
        value = self.get(key, str)
        if value is None:
            raise self._wrong(key, "it is missing")
        return value

    def value(self, key: str) -> object:
        return self._payload.get(key)

    def handle(self, key: str) -> int:
        text = self.text(key)
        number = _handle_number(text)
        if number is None:
            raise self._wrong(key, f'it must be a handle such as "handle_7", not "{text:.80}"')
        return number

    def _wrong(self, key: str, what: str) -> ArgumentError:
        return ArgumentError(f'Cannot run command "{self._command}" with key "{key}": {what}')


_KINDS = {str: "a string", list: "an array", dict: "an object"}


def _handle_number(text: object) -> int | None:
    if type(text) is not str or not text.startswith(_HANDLE_PREFIX):
        return None
    digits = text[len(_HANDLE_PREFIX) :]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 18 else None


def _reference(value: dict) -> int | None:
    """The handle that an argument names by the form in which results name one."""
    return _handle_number(value.get("handleId")) if value.get("isHandle") is True else None


def _has_handle(value: object) -> bool:
    if type(value) is list:
        return any(_has_handle(item) for item in value)
    if type(value) is dict:
        return _reference(value) is not None or any(_has_handle(item) for item in value.values())
    return False


def _tagged(value: object) -> object:
    """Plain JSON with handles in it, as JSON with tags."""
    if type(value) is list:
        return [_tagged(item) for item in value]
    if type(value) is not dict:
        return value
    number = _reference(value)
    if number is not None:
        return {"$": ["handle", number]}
    if "$" in value:
        return {"$": ["dict", [[key, _tagged(item)] for key, item in value.items()]]}
    return {key: _tagged(item) for key, item in value.items()}


def _create(payload: _Payload) -> list:
    owner = (
        payload.text("moduleName")
        if payload.value("moduleHandleId") is None
        else payload.handle("moduleHandleId")
    )
    return [owner, payload.text("className"), payload.get("args", list, []), payload.get("kwargs", dict, {})]


def _call(payload: _Payload) -> list:
    return [
        payload.handle("handleId"),
        payload.text("methodName"),
        payload.get("args", list, []),
        payload.get("kwargs", dict, {}),
    ]


def _evaluate(payload: _Payload) -> list:
    return [payload.text("expression"), payload.get("locals", dict, {})]


# -- writing answers


def _value(value: object, context: _Context) -> bytes:
    if context.is_exact:
        return b'{"value":%b}' % values.encode_tagged(value, "auto", context, inline=True)[0]
    plain = values.plain(value, context)
    if context.handle is not None:
        return dumps({"isHandle": True, **_named(context.handle)})
    return dumps({"value": plain})


def _named(handle: tuple | list) -> dict:
    return {"handleId": f"{_HANDLE_PREFIX}{handle[0]}", "typeName": handle[1]}


def _handle(value: object, context: _Context) -> bytes:
    return dumps(_named(value))


def _module(value: object, context: _Context) -> bytes:
    return dumps({"handleId": f"{_HANDLE_PREFIX}{value[0]}"})


def _success(value: object, context: _Context) -> bytes:
    return b'{"success":true}'


def _available(value: object, context: _Context) -> bytes:
    return b'{"available":true}' if value else b'{"available":false}'


def _venv(action: str) -> Command:
    def arguments(payload: _Payload) -> list:
        fields = {key: payload.get(key, str) for key in ("name", "providerName", "modelId", "path")}
        return [action, {**fields, "packages": payload.get("packages", list)}]

    return Command("venv", arguments, _json)


def _json(value: object, context: _Context) -> bytes:
    return dumps(value)


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
    "ping": Command("health", None, None),
    "import": Command("import", lambda payload: [payload.text("moduleName")], _module),
    "create": Command("create", _create, _handle),
    "call": Command("call", _call, _value),
    "getattr": Command(
        "get", lambda payload: [payload.handle("handleId"), payload.text("attributeName")], _value
    ),
    "setattr": Command(
        "set",
        lambda payload: [payload.handle("handleId"), payload.text("attributeName"), payload.value("value")],
        _success,
    ),
    "eval": Command("evaluate", _evaluate, _value),
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
