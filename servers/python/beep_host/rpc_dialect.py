"""What the original's C# clients call RPC: `POST /rpc/PythonService/<Method>` with JSON in PascalCase, and
`/rpc/VenvService/<Method>` of its plan.

The commands are those of `json_api.py`; here are their names, and the spelling of their keys, which are read without
regard to case; those clients read the answers with regard to it.
"""

from __future__ import annotations

from beep_host.errors import HostError
from beep_host.http_parser import RequestHead
from beep_host.json_api import COMMANDS, JsonReply, run
from beep_host.json_text import loads_plain
from beep_host.protocol import SESSION_HEADER

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
        return run(client, name, payload, commands=METHODS, spell=_spell)
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


def _spell(answer: object) -> object:
    """An answer in PascalCase; what user code gave keeps its keys."""
    if type(answer) is list:
        return [_spell(item) for item in answer]
    if type(answer) is dict:
        return {
            key[:1].upper() + key[1:]: item if key in _OF_USER_CODE else _spell(item) for key, item in answer.items()
        }
    return answer


_OF_USER_CODE = frozenset(("value",))

METHODS = {
    f"PythonService/{name}" if "/" not in name else name: COMMANDS[command]
    for name, command in (
        ("Health", "ping"),
        ("ImportModule", "import"),
        ("CreateObject", "create"),
        ("CallMethod", "call"),
        ("GetAttribute", "getattr"),
        ("SetAttribute", "setattr"),
        ("Evaluate", "eval"),
        ("DisposeHandle", "dispose"),
        ("ToFloatArray", "tofloatarray"),
        ("ToFloatArray2D", "tofloatarray2d"),
        ("IsModuleAvailable", "module_available"),
        ("WrapValue", "wrap"),
        ("VenvService/CreateEnvironment", "venv_create"),
        ("VenvService/DeleteEnvironment", "venv_delete"),
        ("VenvService/InstallEnvironment", "venv_install"),
        ("VenvService/ListEnvironment", "venv_list"),
    )
}
