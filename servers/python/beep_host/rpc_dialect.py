"""What the original's C# clients call RPC: `POST /rpc/PythonService/<Method>` with JSON in PascalCase, and
`/rpc/VenvService/<Method>` of its plan.

The commands are those of `json_api.py`; here are their names, their keys, which are read without regard to case, and
their answers, which those clients read with regard to it.
"""

from __future__ import annotations

from beep_host import values
from beep_host.errors import HostError
from beep_host.http_parser import RequestHead
from beep_host.json_api import COMMANDS, Command, JsonReply, run
from beep_host.json_text import loads_plain
from beep_host.protocol import SESSION_HEADER
from beep_host.replies import dumps

DIALECT_PREFIX = b"/rpc/"
_SESSION_FIELD = SESSION_HEADER.encode()

_KEYS = (
    "moduleName moduleHandleId className args kwargs handleId typeName methodName attributeName value expression locals"
    " providerName modelId packages path name"
).split()
_KEY_OF = {key.lower(): key for key in _KEYS}


def is_dialect_method(path: bytes) -> bool:
    """Whether a path names one of the methods."""
    return path.startswith(DIALECT_PREFIX) and path[len(DIALECT_PREFIX) :].decode("latin-1") in METHODS


def answer_dialect(server: object, head: RequestHead, body: bytes | bytearray) -> JsonReply:
    """Starts the method of a request, whose path has been judged."""
    name = head.path[len(DIALECT_PREFIX) :].decode("latin-1")
    session = head.headers.get(_SESSION_FIELD)
    try:
        client = server.default_client if session is None else server.find_client(session.decode("latin-1"))
        payload = loads_plain(bytes(body) or b"{}")
        if type(payload) is dict:
            payload = {_KEY_OF.get(key.lower(), key): _with_handles(item) for key, item in payload.items()}
        return run(client, name, payload, commands=METHODS)
    except HostError as error:
        reply = JsonReply(METHODS[name], False)
        reply.refuse(error)
        return reply


def _with_handles(value: object) -> object:
    """Results that are passed as arguments are spelled as they came; the commands read the other spelling."""
    if type(value) is list:
        return [_with_handles(item) for item in value]
    if type(value) is not dict:
        return value
    if value.get("IsHandle") is True and type(value.get("HandleId")) is str:
        return {"isHandle": True, "handleId": value["HandleId"]}
    return {key: _with_handles(item) for key, item in value.items()}


def _value(value: object, context: object) -> bytes:
    plain = values.plain(value, context)
    if context.handle is not None:
        return dumps({"IsHandle": True, **_named(context.handle)})
    return dumps({"Value": plain})


def _named(handle: tuple | list) -> dict:
    return {"HandleId": f"handle_{handle[0]}", "TypeName": handle[1]}


def _handle(value: object, context: object) -> bytes:
    return dumps(_named(value))


def _module(value: object, context: object) -> bytes:
    return dumps({"HandleId": f"handle_{value[0]}"})


def _success(value: object, context: object) -> bytes:
    return b'{"Success":true}'


def _available(value: object, context: object) -> bytes:
    return b'{"Available":true}' if value else b'{"Available":false}'


def _pascal(value: object) -> object:
    if type(value) is list:
        return [_pascal(item) for item in value]
    if type(value) is dict:
        return {key[:1].upper() + key[1:]: _pascal(item) for key, item in value.items()}
    return value


def _venv(value: object, context: object) -> bytes:
    return dumps(_pascal(value))


def _health(value: object, context: object) -> bytes:
    return b'{"Status":"ok"}'


METHODS = {
    f"PythonService/{name}" if "/" not in name else name: Command(COMMANDS[command].operation, COMMANDS[command].arguments, answer or COMMANDS[command].answer)
    for name, command, answer in (
        ("Health", "ping", _health),
        ("ImportModule", "import", _module),
        ("CreateObject", "create", _handle),
        ("CallMethod", "call", _value),
        ("GetAttribute", "getattr", _value),
        ("SetAttribute", "setattr", _success),
        ("Evaluate", "eval", _value),
        ("DisposeHandle", "dispose", _success),
        ("ToFloatArray", "tofloatarray", None),  # a bare array, as over HTTP
        ("ToFloatArray2D", "tofloatarray2d", None),
        ("IsModuleAvailable", "module_available", _available),
        ("WrapValue", "wrap", _handle),
        ("VenvService/CreateEnvironment", "venv_create", _venv),
        ("VenvService/DeleteEnvironment", "venv_delete", _venv),
        ("VenvService/InstallEnvironment", "venv_install", _venv),
        ("VenvService/ListEnvironment", "venv_list", _venv),
    )
}
