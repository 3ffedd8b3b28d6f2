"""gRPC by `grpcio`: the same procedures, answers and codes as Connect, with health checks and reflection.

Messages pass as bytes through our own codec; `protobuf` serves the two services that others wrote. Each call that is
under way has a thread of grpcio's pool, which waits for its end.
"""

from __future__ import annotations

from _queue import SimpleQueue
from _thread import allocate_lock, start_new_thread

from beep_host import private_builtins, rpc_binary, rpc_service
from beep_host.bell import Bell
from beep_host.errors import HostError
from beep_host.forking import leave_with_thread
from beep_host.grpc_door import Door, bounds, credentials
from beep_host.protocol import SESSION_HEADER
from beep_host.rpc_schema import METHODS, SERVICE
from beep_host.rpc_status import CODES, Status, status_of

# More than the connections of HTTP: the stream of each session holds one for its life.
_MAX_THREADS = 512
# What a stream keeps for a client that does not read, before its call waits. Each message is a call of grpcio's, and a
# reply comes after all of them: more would make the end of a call that is stopped come too late.
_MAX_KEPT_BYTES = 256 * 1024
# Of the 8 KiB that clients take as metadata.
_MAX_DETAIL_BYTES = 4096
_MAX_MESSAGE = 500
# So many calls at once are waited for by bells: with more of them, how a single one is woken does not matter.
_RUNG_CALLS = 8
# Those that nobody uses.
_bells: list[Bell] = []


def serve(server: object, bootstrap: dict) -> str:
    """Listens and serves; gives the address."""
    private_builtins.install_for("grpc", "google.protobuf")
    try:
        grpc = _import_grpc()
    except ImportError as error:
        raise _missing("grpcio", error) from None
    from beep_host.grpc_threads import HandlerThreads

    host = bootstrap.get("host") or "127.0.0.1"
    codes = {code.value[0]: code for code in grpc.StatusCode}

    def refuse(context: object, failure: Status) -> None:
        _abort(context, codes, failure)

    grpc_server = grpc.server(
        HandlerThreads(_MAX_THREADS),
        interceptors=(Door(grpc, server, refuse, bootstrap.get("allowedOrigins") or []),),
        options=bounds(server.limits),
    )
    grpc_server.add_generic_rpc_handlers((_handlers(grpc, server, codes),))
    health = _add_services(grpc, grpc_server, server)
    name = f"[{host}]" if ":" in host else host
    port = _bind(grpc, grpc_server, f"{name}:{bootstrap.get('port') or 0}", bootstrap.get("tls"))
    grpc_server.start()

    def close() -> None:
        health.enter_graceful_shutdown()
        grpc_server.stop(0)

    server.on_close.append(close)
    # grpcio begins threads of its own there.
    server.on_fork.append(leave_with_thread)
    # Each call goes from a thread of grpcio's to that of its session and back.
    server.rings_sessions = True
    _bells.extend([Bell() for _ in range(_RUNG_CALLS)])
    start_new_thread(_watch_descriptors, (server, Bell()))
    scheme = "https" if bootstrap.get("tls") else "http"
    return f"{scheme}://{name}:{port}"


def _watch_descriptors(server: object, bell: Bell) -> None:
    """Waits for user code to close all descriptors: grpcio would serve nobody any more, and say so without end. This bell, which
    nobody rings, breaks with them."""
    try:
        while True:
            bell.wait()
    except OSError as error:
        server.on_descriptor_lost(error)


def _import_grpc() -> object:
    """grpcio, which by itself writes to the operator's terminal when a client leaves and when user code forks. Its errors still
    appear, and what the operator asks for."""
    import os

    is_asked = "GRPC_VERBOSITY" in os.environ
    if not is_asked:
        os.environ["GRPC_VERBOSITY"] = "ERROR"
    try:
        import grpc
    finally:
        # It has been read, and is not for user code and the processes that it starts.
        if not is_asked:
            del os.environ["GRPC_VERBOSITY"]
    return grpc


def _bind(grpc: object, grpc_server: object, address: str, tls: dict | None) -> int:
    try:
        if not tls:
            return grpc_server.add_insecure_port(address)
        return grpc_server.add_secure_port(address, credentials(grpc, tls))
    except RuntimeError as error:
        from errno import EADDRINUSE

        raise OSError(EADDRINUSE, f"{address} cannot be had: {error}") from None


def _missing(package: str, error: ImportError) -> HostError:
    missing = HostError(
        f"Cannot serve gRPC: {error}",
        hint=f"Install {package}, grpcio-health-checking, grpcio-reflection and protobuf into the server's environment.",
    )
    missing.code = "server-start"
    return missing


def _add_services(grpc: object, grpc_server: object, server: object) -> object:
    """Health and reflection, from their own packages."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc
        from grpc_reflection.v1alpha import reflection
    except ImportError as error:
        raise _missing("grpcio", error) from None
    from binascii import a2b_base64

    from beep_host.rpc_descriptor import DESCRIPTOR_SET

    pool = descriptor_pool.Default()
    for file in descriptor_pb2.FileDescriptorSet.FromString(a2b_base64(DESCRIPTOR_SET)).file:
        pool.AddSerializedFile(file.SerializeToString())
    servicer = health.HealthServicer()
    for name in ("", SERVICE):
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, grpc_server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), grpc_server, pool=pool)
    return servicer


def _handlers(grpc: object, server: object, codes: dict) -> object:
    handlers = {}
    for name, (request_name, response_name, is_stream) in METHODS.items():
        if is_stream:
            handlers[name] = grpc.unary_stream_rpc_method_handler(
                _stream_handler(server, name, request_name, response_name, codes)
            )
        else:
            handlers[name] = grpc.unary_unary_rpc_method_handler(
                _unary_handler(server, name, request_name, response_name, codes)
            )
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def _unary_handler(server: object, name: str, request_name: str, response_name: str, codes: dict) -> object:
    def handle(data: bytes, context: object) -> bytes:
        answer = _UnaryAnswer()
        try:
            session = _session_of(context)
            request = rpc_binary.decode(request_name, data)
        except HostError as error:
            answer.fail(status_of(error))
        else:
            cancel = rpc_service.start(server, name, request, session, answer)
            if not context.add_callback(lambda: answer.is_done or cancel()):
                cancel()
        answer.wait()
        if answer.failure is not None:
            _abort(context, codes, answer.failure)
        return rpc_binary.encode(response_name, answer.message)

    return handle


def _stream_handler(server: object, name: str, request_name: str, response_name: str, codes: dict) -> object:
    def handle(data: bytes, context: object) -> object:
        answer = _StreamAnswer(response_name)
        try:
            session = _session_of(context)
            request = rpc_binary.decode(request_name, data)
        except HostError as error:
            answer.end(status_of(error))
        else:
            cancel = rpc_service.start(server, name, request, session, answer)

            def ended() -> None:
                if not answer.is_done:
                    answer.abandon()
                    cancel()

            if not context.add_callback(ended):
                ended()
        for message in answer.messages():
            yield message
        if answer.failure is not None:
            _abort(context, codes, answer.failure)

    return handle


def _session_of(context: object) -> str | None:
    """The session that the metadata names."""
    return dict(context.invocation_metadata()).get(SESSION_HEADER)


def _abort(context: object, codes: dict, failure: Status) -> None:
    number = CODES[failure.code][0]
    message = failure.detail["message"][:_MAX_MESSAGE]
    detail = rpc_binary.encode("ErrorDetail", failure.detail)
    if len(detail) > _MAX_DETAIL_BYTES:
        detail = rpc_binary.encode("ErrorDetail", _shortened(failure.detail))
    # google.rpc.Status with one google.protobuf.Any.
    any_detail = _field(1, b"type.googleapis.com/beep.python.v1.ErrorDetail") + _field(2, detail)
    packed = b"\x08%c" % number + _field(2, message.encode()) + _field(3, any_detail)
    context.set_trailing_metadata((("grpc-status-details-bin", packed),))
    context.abort(codes[number], message)


def _field(number: int, data: bytes) -> bytes:
    return rpc_binary.to_varint(number << 3 | 2) + rpc_binary.to_varint(len(data)) + data


def _shortened(detail: dict) -> dict:
    """An error without what takes room: clients refuse metadata beyond a few kilobytes."""
    short = {name: text[:_MAX_MESSAGE] for name, text in detail.items() if name != "exception"}
    exception = detail.get("exception")
    if exception is not None:
        texts = {name: exception[name][:_MAX_MESSAGE] for name in ("type", "module", "message")}
        # The end of a traceback is what tells.
        traceback = exception["traceback"][-2 * _MAX_MESSAGE :]
        short["exception"] = {**texts, "bases": exception["bases"][:10], "traceback": traceback}
    return short


class _UnaryAnswer:
    """See `rpc_calls.py`. The first to tell the end is heard."""

    def __init__(self) -> None:
        self.message: dict = {}
        self.failure: Status | None = None
        self.is_done = False
        self._claim = allocate_lock()
        self._bell: Bell | None = None
        self._done = allocate_lock()
        self._done.acquire()

    def finish(self, message: dict) -> None:
        """The response."""
        if self._claim.acquire(False):
            self.message = message
            self._end()

    def fail(self, failure: Status) -> None:
        """The error."""
        if self._claim.acquire(False):
            self.failure = failure
            self._end()

    def wait(self) -> None:
        """Waits for the end."""
        try:
            bell = self._bell = _bells.pop()
        except IndexError:
            bell = None
        if bell is not None:
            try:
                while not self.is_done:
                    bell.wait()
                self._bell = None
                _bells.append(bell)
            except OSError:
                pass  # it is broken, and not used again
        self._done.acquire()

    def _end(self) -> None:
        self.is_done = True
        self._done.release()
        bell = self._bell  # who waits may take it away meanwhile
        if bell is not None:
            bell.ring()


class _StreamAnswer:
    """See `rpc_calls.py`. grpcio takes the messages as fast as the client does."""

    def __init__(self, response_name: str) -> None:
        self.failure: Status | None = None
        self.is_done = False
        self._response_name = response_name
        self._queue: SimpleQueue = SimpleQueue()
        self._kept_bytes = 0
        self._is_abandoned = False
        self._lock = allocate_lock()
        self._blocked: list = []

    def send(self, message: dict) -> None:
        """Takes a message; waits while too many have not been taken."""
        held = None
        data = rpc_binary.encode(self._response_name, message)
        with self._lock:
            if self.is_done or self._is_abandoned:
                return
            self._put(data)
            if self._kept_bytes > _MAX_KEPT_BYTES:
                held = allocate_lock()
                held.acquire()
                self._blocked.append(held)
        if held is not None:
            held.acquire()

    def offer(self, message: dict, may_drop: bool = False) -> bool:
        """Takes a message without waiting; False when it was dropped."""
        data = rpc_binary.encode(self._response_name, message)
        with self._lock:
            if self.is_done or (may_drop and self._kept_bytes > _MAX_KEPT_BYTES):
                return False
            self._put(data)
            return True

    def send_last(self, message: dict) -> None:
        """Takes the last message."""
        self.offer(message)
        self.end(None)

    def end(self, failure: Status | None) -> None:
        """Ends the stream; doing it again does nothing."""
        with self._lock:
            if self.is_done:
                return
            self.is_done = True
            self.failure = failure
            self._queue.put(None)

    fail = end

    def abandon(self) -> None:
        """The client has gone: who waits goes on, and nothing is kept any more."""
        with self._lock:
            self._is_abandoned = True
            self._release_blocked()
            self._queue.put(None)

    def messages(self) -> object:
        """What was sent, until the end."""
        while True:
            data = self._queue.get()
            if data is None:
                return
            with self._lock:
                self._kept_bytes -= len(data)
                if self._kept_bytes <= _MAX_KEPT_BYTES:
                    self._release_blocked()
            yield data

    def _put(self, data: bytes) -> None:
        self._kept_bytes += len(data)
        self._queue.put(data)

    def _release_blocked(self) -> None:
        for held in self._blocked:
            held.release()
        self._blocked = []
