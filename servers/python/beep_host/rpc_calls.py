"""The procedures of `PythonService`: requests become calls of the core, results become responses. Knows no wire.

    request message ── PROCEDURES[…].arguments ──► Call ── its session's thread ──► Reply ── message ──► answer

An *answer* is what Connect and gRPC implement: `finish(message)` for the one response of a unary procedure, `fail(status)`
for its error; `send(message, may_drop)`, and `end(status or None)` for a stream.
"""

from __future__ import annotations

from beep_host.errors import ArgumentError, ProtocolError
from beep_host.execution import Call
from beep_host.json_text import loads
from beep_host.nesting import nesting
from beep_host.replies import FrameReply
from beep_host.rpc_status import status_of
from beep_host.rpc_values import Arguments, to_message

_RESULTS = (None, "value", "handle", "arrow")
_FLAGS = ("concurrent", "stdout", "stderr", "log", "progress", "display", "input")
_NATIVE = 1


class Procedure:
    """One unary procedure: the operation behind it, how its arguments are read, and how its result is written."""

    __slots__ = ("answer", "arguments", "operation")

    def __init__(self, operation: str, arguments: object, answer: object) -> None:
        self.operation = operation
        self.arguments = arguments
        self.answer = answer


def make_call(name: str, request: dict, make_reply: object, call_id: int) -> Call:
    """The call that a request asks for. `make_reply(is_native)` gives what it answers to."""
    procedure = PROCEDURES[name]
    options, given = _options(request.get("options") or {})
    native = request.get("native")
    parts: list = []
    if native is not None:
        args = loads(native.get("json", b""))
        if type(args) is not list:
            raise ProtocolError(f"Cannot read {name}: native.json is not an array")
        parts = native.get("parts", [])
        if native.get("is_tagged"):
            options["tagged"] = 1
        else:
            nesting.check_plain(native.get("json", b""), args)
    else:
        reader = Arguments()
        args = procedure.arguments(request, reader)
        if reader.is_tagged:
            options["tagged"] = 1
            parts = reader.parts
    reply = make_reply(given.get("encoding") == _NATIVE or name == "Send")
    operation = procedure.operation or request.get("operation", "")
    return Call(given.get("call_id") or call_id, operation, args, parts, options, reply)


def _options(given: dict) -> tuple[dict, dict]:
    if not given:
        return {}, given
    options: dict = {name: 1 for name in _FLAGS if given.get(name)}
    mode = given.get("result_mode", 0)
    if mode:
        if not 0 <= mode < len(_RESULTS):
            raise ArgumentError(f"Cannot use result mode {mode}: it is not known")
        options["result"] = _RESULTS[mode]
    if given.get("session_label"):
        options["session"] = given["session_label"]
    if given.get("parent_call_id"):
        options["parent"] = given["parent_call_id"]
    return options, given


class Reply:
    """What a call of a typed request answers to."""

    __slots__ = ("_answer", "_call_id", "_procedure")

    def __init__(self, procedure: Procedure, answer: object) -> None:
        self._procedure = procedure
        self._answer = answer

    def finish(self, call: Call, value: object) -> None:
        """The result."""
        self._answer.finish(self._procedure.answer(value, call))

    def fail(self, call: Call, error: BaseException) -> None:
        """The error."""
        self._answer.fail(status_of(error))

    def event(self, *_: object, **__: object) -> bool:
        """Nothing: a unary response has no room for it."""
        return True


class UnarySink:
    """The sink of a native unary call: its reply is the response; what belongs to no call goes by the control lane."""

    __slots__ = ("_answer", "_client")

    def __init__(self, answer: object, client: object) -> None:
        self._answer = answer
        self._client = client

    def reply(self, json: bytes, parts: list | tuple) -> None:
        """The response."""
        self._answer.finish({"native": {"json": json, "parts": parts}})

    def event(self, json: bytes, parts: list | tuple) -> None:
        """Something that is not the call's own, such as functions that were let go of."""
        control = self._client.control.reply()
        if control is not None:
            control.sink.offer(json, parts)

    def offer(self, json: bytes, parts: list | tuple, *, is_reply: bool = False, may_drop: bool = False) -> bool:
        """The same; nothing here waits."""
        (self.reply if is_reply else self.event)(json, parts)
        return True


def unary_reply(name: str, client: object, answer: object, is_native: bool) -> object:
    """The reply of a unary procedure."""
    if is_native:
        return FrameReply(UnarySink(answer, client))
    return Reply(PROCEDURES[name], answer)


# -- arguments


def _handle(request: dict) -> int:
    return request.get("handle_id", 0)


def _evaluate(request: dict, reader: Arguments) -> list:
    code = request.get("code", "")
    return [code, reader.named(request["locals"])] if request.get("locals") else [code]


def _create(request: dict, reader: Arguments) -> list:
    owner = request.get("module_handle_id", request.get("module_name"))
    if owner is None:
        raise ArgumentError("Cannot create object: neither module_handle_id nor module_name is given")
    return [owner, request.get("class_name", ""), reader.row(request.get("args")), reader.named(request.get("kwargs"))]


def _call(request: dict, reader: Arguments) -> list:
    args = reader.row(request.get("args"))
    return [_handle(request), request.get("method_name", ""), args, reader.named(request.get("kwargs"))]


def _set(request: dict, reader: Arguments) -> list:
    return [_handle(request), request.get("attribute_name", ""), reader.value(request.get("value"))]


def _optional_label(request: dict, reader: Arguments) -> list:
    return [request["label"]] if request.get("label") else []


# -- answers


def _value(value: object, call: Call) -> dict:
    return {"value": to_message(value, call.options.get("result", "auto"), call.session)}


def _handle_answer(value: list, call: Call) -> dict:
    return {"handle": {"id": value[0], "type_name": value[1]}}


def _module(value: list, call: Call) -> dict:
    return {"handle": {"id": value[0], "type_name": "module"}, "module_name": value[1]}


def _floats(value: object) -> object:
    return memoryview(value.part).cast("B").cast("f")


def _rows(value: object, call: Call) -> dict:
    rows, columns = value.value
    return {"rows": rows, "columns": columns, "values": _floats(value)}


def _stats(value: dict, call: Call) -> dict:
    counters = {name: value[name] for name in ("clients", "running", "handles", "threads")}
    return {**counters, "refused_tokens": value.get("refusedTokens", 0)}


def _nothing(value: object, call: Call) -> dict:
    return {}


_OUTCOMES = {"stopped": 1, "queued": 2, "finished": 2, "running": 3}

PROCEDURES = {
    "Evaluate": Procedure("evaluate", _evaluate, _value),
    "ImportModule": Procedure("import", lambda request, _: [request.get("name", "")], _module),
    "CreateObject": Procedure("create", _create, _handle_answer),
    "CallMethod": Procedure("call", _call, _value),
    "GetAttribute": Procedure("get", lambda request, _: [_handle(request), request.get("attribute_name", "")], _value),
    "SetAttribute": Procedure("set", _set, _nothing),
    "DisposeHandles": Procedure("release", lambda request, _: [request.get("handle_ids", [])], _nothing),
    "ToFloatArray": Procedure("floats", lambda request, _: [_handle(request)], lambda value, _: {"values": _floats(value)}),
    "ToFloatArray2D": Procedure("floats2d", lambda request, _: [_handle(request)], _rows),
    "IsModuleAvailable": Procedure(
        "available", lambda request, _: [request.get("name", "")], lambda value, _: {"is_available": value}
    ),
    "WrapValue": Procedure("wrap", lambda request, reader: [reader.value(request.get("value"))], _handle_answer),
    "OpenSubsession": Procedure("open_session", lambda request, _: [request.get("label", "")], _nothing),
    "CloseSession": Procedure("close_session", _optional_label, _nothing),
    "Cancel": Procedure(
        "cancel", lambda request, _: [request.get("call_id", 0)], lambda value, _: {"outcome": _OUTCOMES[value]}
    ),
    "Ping": Procedure("ping", lambda request, _: [], lambda value, _: {"running_call_ids": [n for n in value if n > 0]}),
    "GetStats": Procedure("stats", lambda request, _: [], _stats),
    "Send": Procedure("", lambda request, _: [], _nothing),
}

# The field of `Operation` and of `OperationResult` that stands for each procedure.
OPERATION_FIELDS = {
    "evaluate": "Evaluate",
    "import_module": "ImportModule",
    "create_object": "CreateObject",
    "call_method": "CallMethod",
    "get_attribute": "GetAttribute",
    "set_attribute": "SetAttribute",
    "dispose_handles": "DisposeHandles",
    "to_float_array": "ToFloatArray",
    "to_float_array_2d": "ToFloatArray2D",
    "is_module_available": "IsModuleAvailable",
    "wrap_value": "WrapValue",
    "send": "Send",
}
