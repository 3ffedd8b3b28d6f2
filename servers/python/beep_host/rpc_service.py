"""`PythonService` as a wire sees it: a procedure's name, a request and an answer go in, a `cancel` comes back.

See `rpc_calls.py` for what an answer is. Connect (`connect_service.py`) and gRPC (`grpc_service.py`) are thin around this.
"""

from __future__ import annotations

from _thread import allocate_lock, start_new_thread
from itertools import count

from beep_host.errors import ArgumentError, HostError, ProtocolError, VersionError
from beep_host.execution import Call
from beep_host.protocol import PROTOCOL_VERSION
from beep_host.replies import FrameReply
from beep_host.rpc_calls import OPERATION_FIELDS, PROCEDURES, make_call, unary_reply
from beep_host.rpc_run import RunReply, RunSink
from beep_host.rpc_sessions import RpcClient, stop
from beep_host.rpc_status import status_of

# Below zero, since clients number their own calls from one.
_next_id = count(-1, -1).__next__


def start(server: object, name: str, request: dict, session: str | None, answer: object) -> object:
    """Starts a procedure; the answer is told what comes of it. Gives a function that cancels it."""
    try:
        if name == "OpenSession":
            return _open_session(server, request, answer)
        client = server.default_client if session is None else server.find_client(session)
        if name == "Run":
            return _run(server, client, request, answer)
        if name == "Iterate":
            from beep_host.rpc_iterate import iterate

            return iterate(server, client, request, answer, _next_id)
        call = make_call(name, request, lambda is_native: unary_reply(name, client, answer, is_native), _next_id())
        _start(client, call, request)
        return lambda: stop(server, call)
    except HostError as error:
        answer.fail(status_of(error))
        return _nothing


def _start(client: object, call: Call, request: dict) -> None:
    sequence = (request.get("options") or {}).get("sequence")
    if isinstance(client, RpcClient):
        if sequence:
            client.start_in_order(call, sequence)
            return
        if call.operation == "cancel":
            _cancel(client, call)
            return
    elif sequence:
        raise ArgumentError("Cannot order call: only a session of OpenSession counts a sequence")
    client.start(call)


def _cancel(client: RpcClient, call: Call) -> None:
    """As the core does, except that ids tell nothing about which requests have arrived."""
    target = call.args[0] if call.args else None
    if target in client.running:
        client.start(call)
        return
    client.cancel_unread(target)
    if target in client.running:
        # It was entered meanwhile, and may have been looked at before this was remembered.
        client.start(call)
        return
    call.client = client
    call.session = client.session
    call.finish("queued")


def _run(server: object, client: object, request: dict, answer: object) -> object:
    operations = request.get("operations") or []
    if not operations:
        answer.end(None)
        return _nothing
    sink = RunSink(answer, len(operations))
    calls = []
    for number, operation in enumerate(operations, 1):
        if len(operation) != 1:
            raise ProtocolError(f"Cannot read Run: operation {number} is not exactly one operation")
        ((field, one),) = operation.items()
        name = OPERATION_FIELDS[field]
        given = (one.get("options") or {}).get("call_id") or number

        def make_reply(is_native: bool, field: str = field, name: str = name, given: int = given) -> object:
            if is_native:
                return FrameReply(sink)
            return RunReply(PROCEDURES[name], field, given, sink)

        calls.append((make_call(name, one, make_reply, _next_id()), one))
    for call, one in calls:
        _start(client, call, one)

    def cancel() -> None:
        for call, _ in calls:
            if not call.finished:
                stop(server, call)

    return cancel


def _open_session(server: object, request: dict, answer: object) -> object:
    wanted = request.get("protocol", 0)
    if wanted not in (0, PROTOCOL_VERSION):
        raise VersionError(
            f"Cannot open session: the client speaks protocol {wanted}, this server {PROTOCOL_VERSION}",
            hint="Use the same version of @beep/python-host on both sides.",
        )
    client = server.open_client(RpcClient)
    client.control.expect()
    client.control.open(FrameReply(SessionSink(answer)))
    client.on_closed = lambda: answer.end(None)
    info = server.welcome(client)
    answer.send(
        {
            "welcome": {
                "session": info["session"],
                "protocol": info["protocol"],
                "server_version": info["serverVersion"],
                "python_version": info["pythonVersion"],
                "implementation": info["implementation"],
                "executable": info["executable"],
                "pid": info["pid"],
                "features": info["features"],
            }
        }
    )
    return client.close


class SessionSink:
    """What is asked of a client on the stream of its session."""

    def __init__(self, answer: object) -> None:
        self._answer = answer
        self._lock = allocate_lock()
        self._kept: list = []

    def event(self, json: bytes, parts: list | tuple) -> None:
        """Sends a message; waits while the client takes it."""
        self._answer.send({"native": {"json": json, "parts": parts}})

    def offer(self, json: bytes, parts: list | tuple, *, is_reply: bool = False, may_drop: bool = False) -> bool:
        """Sends a message without ever waiting, by a thread that lives while there is something to send."""
        with self._lock:
            self._kept.append((json, parts))
            if len(self._kept) > 1:
                return True
        start_new_thread(self._drain, ())
        return True

    reply = event

    def _drain(self) -> None:
        while True:
            self.event(*self._kept[0])
            with self._lock:
                del self._kept[0]
                if not self._kept:
                    return


def _nothing() -> None:
    """There is nothing that could be cancelled."""


