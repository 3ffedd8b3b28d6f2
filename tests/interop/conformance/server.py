"""The service of Connect's conformance suite, on the parser, connection loop, codecs, deadlines and codes of our Connect server.

    python server.py <directory of beep_host>      started by `connectconformance --mode server`

Ours: all bytes on the wire. Of this file: the messages and the behaviour of `ConformanceService`, and what `PythonService`
has no use for: headers and trailers that a procedure sets, codes that it never gives, error details of any type.
"""

from __future__ import annotations

import select
import struct
import sys
import threading

sys.path.insert(0, sys.argv[1])

from beep_host import (  # noqa: E402
    connect_answers,
    connect_codec,
    connect_server,
    rpc_binary,
    rpc_json,
    rpc_schema,
    rpc_service,
    rpc_status,
)
from beep_host.connect_server import ConnectConnection, ConnectServer  # noqa: E402
from beep_host.http_server import HttpLimits  # noqa: E402
from beep_host.rpc_status import Status  # noqa: E402
from beep_host.server import Server  # noqa: E402

PACKAGE = "connectrpc.conformance.v1."
TYPE_URL = "type.googleapis.com/"
FULL_NAMES = {"RequestInfo": "ConformancePayload.RequestInfo"}
CODES = (
    "", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
    "resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable",
    "data_loss", "unauthenticated",
)  # fmt: skip

# The fields of the messages: number, name, JSON name, kind, label (1 has presence, 2 repeated); see `rpc_schema.py`.
MESSAGES = {
    "Any": ((1, "type_url", "typeUrl", "string", 0), (2, "value", "value", "bytes", 0)),
    "Header": ((1, "name", "name", "string", 0), (2, "value", "value", "string", 2)),
    "Error": ((1, "code", "code", "Code", 0), (2, "message", "message", "string", 1), (3, "details", "details", "Any", 2)),
    "UnaryResponseDefinition": (
        (1, "response_headers", "responseHeaders", "Header", 2),
        (2, "response_data", "responseData", "bytes", 1),
        (3, "error", "error", "Error", 1),
        (4, "response_trailers", "responseTrailers", "Header", 2),
        (6, "response_delay_ms", "responseDelayMs", "uint32", 0),
    ),
    "StreamResponseDefinition": (
        (1, "response_headers", "responseHeaders", "Header", 2),
        (2, "response_data", "responseData", "bytes", 2),
        (3, "response_delay_ms", "responseDelayMs", "uint32", 0),
        (4, "error", "error", "Error", 1),
        (5, "response_trailers", "responseTrailers", "Header", 2),
    ),
    "UnaryRequest": (
        (1, "response_definition", "responseDefinition", "UnaryResponseDefinition", 1),
        (2, "request_data", "requestData", "bytes", 0),
    ),
    "UnaryResponse": ((1, "payload", "payload", "ConformancePayload", 1),),
    "ServerStreamRequest": (
        (1, "response_definition", "responseDefinition", "StreamResponseDefinition", 1),
        (2, "request_data", "requestData", "bytes", 0),
    ),
    "ServerStreamResponse": ((1, "payload", "payload", "ConformancePayload", 1),),
    "ConformancePayload": ((1, "data", "data", "bytes", 0), (2, "request_info", "requestInfo", "RequestInfo", 1)),
    "RequestInfo": (
        (1, "request_headers", "requestHeaders", "Header", 2),
        (2, "timeout_ms", "timeoutMs", "int64", 1),
        (3, "requests", "requests", "Any", 2),
    ),
    "ServerCompatRequest": ((6, "message_receive_limit", "messageReceiveLimit", "uint32", 0),),
    "ServerCompatResponse": ((1, "host", "host", "string", 0), (2, "port", "port", "uint32", 0)),
}
METHODS = {
    "Unary": ("UnaryRequest", "UnaryResponse", False),
    "ServerStream": ("ServerStreamRequest", "ServerStreamResponse", True),
}

# The connection and the head of the request that this thread is starting.
current = threading.local()


class Connection(ConnectConnection):
    """Knows the headers that a procedure sets."""

    fields = b""

    def _start_unary(self, head: object, body: bytes) -> object:
        current.connection, current.head = self, head
        return super()._start_unary(head, body)

    def _answer_stream(self, head: object, method: str, body: bytes) -> None:
        current.connection, current.head = self, head
        super()._answer_stream(head, method, body)

    def _read_head(self) -> object:
        self.fields = b""
        return super()._read_head()

    def _head(self, head: object, status: int, fields: bytes) -> bytes:
        return super()._head(head, status, fields + self.fields)

    def _send_unary(self, head: object, answer: object, buffers: list) -> None:
        if not self.fields:
            super()._send_unary(head, answer, buffers)
            return
        size = sum(map(len, buffers))
        fields = b"Content-Type: %b\r\nContent-Length: %d\r\n" % (answer.content_type, size)
        self._send(self._head(head, answer.http_status, fields), *buffers)


class Listener(ConnectServer):
    connection_type = Connection


class Failure(Status):
    """An error, or the end of a stream, as the suite wants it."""

    def __init__(self, code: str, message: str | None, details: list, trailers: list = ()) -> None:
        super().__init__(code, message or "", {"code": "", "message": message or ""})
        self.details = details
        self.trailers = trailers


def start(server: object, name: str, request: dict, session: str | None, answer: object) -> object:
    """Takes the place of `rpc_service.start`."""
    connection, head = current.connection, current.head
    given = request.get("response_definition", {})
    headers = field_lines("", given.get("response_headers", ()))
    stopped = threading.Event()
    info = {
        "request_headers": [{"name": key.decode(), "value": [value.decode("latin-1")]} for key, value in head.headers.items()],
        "requests": [any_of(METHODS[name][0], request)],
    }
    if b"connect-timeout-ms" in head.headers:
        info["timeout_ms"] = int(head.headers[b"connect-timeout-ms"])
    if name == "Unary":
        connection.fields = headers + field_lines("Trailer-", given.get("response_trailers", ()))
        run = lambda: unary(given, info, answer, stopped)  # noqa: E731
    else:
        connection.fields = headers
        run = lambda: stream(given, info, answer, stopped)  # noqa: E731
    threading.Thread(target=run, daemon=True).start()
    return stopped.set


# Clients cancel after milliseconds what is to take half a second, and deadlines of a fifth of one are to pass before what takes one
# and a half. A machine that stands still for as long must not change their order: all takes four times as long.
DELAY_S = 4 / 1000


def unary(given: dict, info: dict, answer: object, stopped: threading.Event) -> None:
    if stopped.wait(given.get("response_delay_ms", 0) * DELAY_S):
        return
    if "error" in given:
        answer.fail(failure(given["error"], [any_of("RequestInfo", info)]))
    else:
        answer.finish({"payload": {"data": given.get("response_data", b""), "request_info": info}})


def stream(given: dict, info: dict, answer: object, stopped: threading.Event) -> None:
    sent = 0
    for data in given.get("response_data", ()):
        if stopped.wait(given.get("response_delay_ms", 0) * DELAY_S):
            return
        answer.send({"payload": {"data": data, **({} if sent else {"request_info": info})}})
        sent += 1
    trailers = given.get("response_trailers", ())
    if "error" in given:
        answer.end(failure(given["error"], [] if sent else [any_of("RequestInfo", info)], trailers))
    else:
        answer.end(Failure("", None, [], trailers))


def failure(given: dict, more: list, trailers: list = ()) -> Failure:
    return Failure(CODES[given.get("code", 0)], given.get("message"), [*given.get("details", ()), *more], trailers)


def field_lines(prefix: str, headers: list) -> bytes:
    lines = [f"{prefix}{header['name']}: {value}\r\n" for header in headers for value in header["value"]]
    return "".join(lines).encode("latin-1")


def any_of(name: str, message: dict) -> dict:
    return {"type_url": TYPE_URL + PACKAGE + FULL_NAMES.get(name, name), "value": rpc_binary.encode(name, message)}


# -- what ours has no form of


own_error, own_read, own_to_json = connect_codec.error, rpc_json._read, rpc_json.to_json


def error(status: Status) -> dict:
    if not isinstance(status, Failure):
        # Its detail is of a type that the runner does not know.
        return {name: value for name, value in own_error(status).items() if name != "details"}
    from base64 import b64encode

    details = [
        {"type": one["type_url"][len(TYPE_URL) :], "value": b64encode(one["value"]).decode().rstrip("=")} for one in status.details
    ]
    return {"code": status.code, "message": status.message, "details": details}


def last_envelope(status: Status | None) -> bytes:
    if not isinstance(status, Failure):
        end = {} if status is None else {"error": error(status)}
    else:
        end = {"metadata": {one["name"]: one["value"] for one in status.trailers}}
        if status.code:
            end["error"] = error(status)
    text = connect_codec.dumps(end)
    return struct.pack(">BI", 2, len(text)) + text


def local_name(type_url: str) -> str:
    return type_url.rpartition(".")[2]


def read(name: str, value: object, path: str, depth: int) -> dict:
    if name != "Any":
        return own_read(name, value, path, depth)
    kind = local_name(value["@type"])
    return {"type_url": value["@type"], "value": rpc_binary.encode(kind, own_read(kind, value, path, depth))}


def to_json(name: str, message: dict) -> dict:
    if name != "Any":
        return own_to_json(name, message)
    kind = local_name(message["type_url"])
    return {"@type": message["type_url"], **own_to_json(kind, rpc_binary.decode(kind, message["value"]))}


def main() -> None:
    rpc_schema.MESSAGES.update(MESSAGES)
    # In the places of the others: a table that is shared is the same object everywhere.
    rpc_schema.ENUMS["Code"] = {f"CODE_{name.upper() or 'UNSPECIFIED'}": number for number, name in enumerate(CODES)}
    rpc_binary._VARINTS = rpc_binary._VARINTS | {"Code"}
    rpc_schema.METHODS.clear()
    rpc_schema.METHODS.update(METHODS)
    rpc_status.CODES.update({"already_exists": (6, 409), "aborted": (10, 409), "out_of_range": (11, 400), "data_loss": (15, 500)})
    connect_codec.PATH_PREFIX = f"/{PACKAGE}ConformanceService/".encode()
    for module in (connect_codec, connect_answers, connect_server):
        module.error, module.last_envelope = error, last_envelope
    rpc_json._read, rpc_json.to_json = read, to_json
    rpc_service.start = start

    (size,) = struct.unpack(">I", sys.stdin.buffer.read(4))
    request = rpc_binary.decode("ServerCompatRequest", sys.stdin.buffer.read(size))
    limit = request.get("message_receive_limit") or 16 * 1024 * 1024
    listener = Listener(Server({"auth": False}), limits=HttpLimits(max_body_bytes=limit))
    listener.start()
    response = rpc_binary.encode("ServerCompatResponse", {"host": "127.0.0.1", "port": listener.port})
    sys.stdout.buffer.write(struct.pack(">I", len(response)) + response)
    sys.stdout.buffer.flush()
    # The runner ends its servers by SIGTERM; when it dies, nobody is left to read what is written.
    watch = select.poll()
    watch.register(sys.stdout.fileno(), 0)
    watch.poll()


main()
