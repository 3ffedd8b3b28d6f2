"""grpcio's own client, with stubs made by grpc_tools and again from reflection: argv is address, token, stubs directory."""

import sys
import threading
import time

import grpc

address, token, stubs = sys.argv[1:]
sys.path.insert(0, stubs)
from beep.python.v1 import python_host_pb2 as pb  # noqa: E402
from beep.python.v1 import python_host_pb2_grpc  # noqa: E402

METADATA = (("authorization", f"Bearer {token}"),)
LIMIT = 64 * 1024 * 1024
channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", LIMIT)])
service = python_host_pb2_grpc.PythonServiceStub(channel)


def detail(error: grpc.RpcError) -> pb.ErrorDetail:
    """The ErrorDetail of google.rpc.Status, read by hand: its package is not part of grpcio."""
    packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
    marker = b"type.googleapis.com/beep.python.v1.ErrorDetail\x12"
    at = packed.index(marker) + len(marker)
    length = shift = 0
    while True:
        byte = packed[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return pb.ErrorDetail.FromString(packed[at : at + length])


def fails(code: grpc.StatusCode, call: object) -> grpc.RpcError:
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        return error
    raise AssertionError(f"expected {code}")


def evaluate(code: str, **fields: object) -> pb.Value:
    return service.Evaluate(pb.EvaluateRequest(code=code, **fields), metadata=METADATA).value


# evaluate, with values both ways
assert evaluate("1 + 1").integer == 2
given = [pb.NamedValue(name="x", value=pb.Value(list=pb.Items(items=[pb.Value(integer=1), pb.Value(real=0.5)])))]
assert [item.real for item in evaluate("[y * 2 for y in x]", locals=given).list.items][1] == 1.0
assert evaluate("2 ** 70").big_integer == f"{2**70:x}"
assert evaluate("None").WhichOneof("kind") is None

# create, call, attributes
made = service.CreateObject(
    pb.CreateObjectRequest(
        module_name="fractions", class_name="Fraction", args=[pb.Value(integer=3), pb.Value(integer=4)]
    ),
    metadata=METADATA,
).handle
assert made.type_name == "Fraction"
got = service.CallMethod(
    pb.CallMethodRequest(handle_id=made.id, method_name="limit_denominator", args=[pb.Value(integer=1)]),
    metadata=METADATA,
)
assert got.value.handle.type_name == "Fraction", got
name = pb.GetAttributeRequest(handle_id=made.id, attribute_name="numerator")
assert service.GetAttribute(name, metadata=METADATA).value.integer == 3
service.DisposeHandles(pb.DisposeHandlesRequest(handle_ids=[made.id]), metadata=METADATA)
gone = fails(grpc.StatusCode.FAILED_PRECONDITION, lambda: service.GetAttribute(name, metadata=METADATA))
assert detail(gone).code == "stale-handle"

# streaming: output and iteration
operation = pb.Operation(
    evaluate=pb.EvaluateRequest(code="print('hello')\n7", options=pb.CallOptions(stdout=True))
)
events = list(service.Run(pb.RunRequest(operations=[operation]), metadata=METADATA))
assert "".join(event.stdout for event in events) == "hello\n"
assert events[-1].result.evaluate.value.integer == 7
generator = evaluate("(n * n for n in range(1000))").handle
items = [
    item.integer
    for batch in service.Iterate(pb.IterateRequest(handle_id=generator.id), metadata=METADATA)
    for item in batch.items
]
assert items == [n * n for n in range(1000)]

# a Python exception
raised = fails(grpc.StatusCode.UNKNOWN, lambda: evaluate("def f():\n    raise KeyError('no')\nf()"))
exception = detail(raised).exception
assert (exception.type, exception.module, exception.arguments[0].text) == ("KeyError", "builtins", "no")
assert exception.frames[-1].name == "f" and "Traceback" in exception.traceback

# a deadline, and the server goes on
start = time.monotonic()
slow = pb.EvaluateRequest(code="import time\nwhile True: time.sleep(0.01)")
fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: service.Evaluate(slow, metadata=METADATA, timeout=0.2))
assert evaluate("'after'").text == "after" and time.monotonic() - start < 20

# cancellation
future = service.Evaluate.future(slow, metadata=METADATA)
threading.Timer(0.1, future.cancel).start()
try:
    future.result()
    raise AssertionError("expected a cancellation")
except grpc.FutureCancelledError:
    pass
assert evaluate("'after'").text == "after"

# 8 MB of bytes, there and back
data = bytes(range(256)) * 32768
echo = [pb.NamedValue(name="data", value=pb.Value(binary=data))]
assert evaluate("data[::-1]", locals=echo).binary == data[::-1]

# what bad input gets
fails(grpc.StatusCode.UNAUTHENTICATED, lambda: service.Evaluate(pb.EvaluateRequest(code="1")))
unknown = channel.unary_unary("/beep.python.v1.PythonService/Nope")
fails(grpc.StatusCode.UNIMPLEMENTED, lambda: unknown(b"", metadata=METADATA))
raw = channel.unary_unary("/beep.python.v1.PythonService/Evaluate")
malformed = fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: raw(b"\x12\xff", metadata=METADATA))
assert "EvaluateRequest" in malformed.details(), malformed

# a session of its own, which ends with its stream
stream = service.OpenSession(pb.OpenSessionRequest(), metadata=METADATA)
welcome = next(stream).welcome
own = (*METADATA, ("beep-session", welcome.session))
service.Evaluate(pb.EvaluateRequest(code="mine = 1"), metadata=own)
assert service.Evaluate(pb.EvaluateRequest(code="mine"), metadata=own).value.integer == 1
fails(grpc.StatusCode.UNKNOWN, lambda: evaluate("mine"))
stream.cancel()
deadline = time.monotonic() + 20
while True:
    try:
        service.Evaluate(pb.EvaluateRequest(code="mine"), metadata=own)
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
            break
    assert time.monotonic() < deadline
    time.sleep(0.01)  # nothing tells a client that its cancel has arrived

# health, and the schema from reflection
from google.protobuf import descriptor_pool, message_factory  # noqa: E402
from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: E402
from grpc_reflection.v1alpha import proto_reflection_descriptor_database as database  # noqa: E402


class WithToken:
    """A channel whose streams show the token: the library that reads the schema cannot be told."""

    def __init__(self, inner: grpc.Channel) -> None:
        self._inner = inner

    def stream_stream(self, *args: object, **kwargs: object) -> object:
        call = self._inner.stream_stream(*args, **kwargs)
        return lambda requests: call(requests, metadata=METADATA)


health = health_pb2_grpc.HealthStub(channel)
question = health_pb2.HealthCheckRequest(service="beep.python.v1.PythonService")
fails(grpc.StatusCode.UNAUTHENTICATED, lambda: health.Check(question))
checked = health.Check(question, metadata=METADATA)
assert checked.status == health_pb2.HealthCheckResponse.SERVING
reflected = descriptor_pool.DescriptorPool(database.ProtoReflectionDescriptorDatabase(WithToken(channel)))
method = reflected.FindServiceByName("beep.python.v1.PythonService").FindMethodByName("Evaluate")
request = message_factory.GetMessageClass(method.input_type)(code="6 * 7")
response = message_factory.GetMessageClass(method.output_type)
call = channel.unary_unary(
    "/beep.python.v1.PythonService/Evaluate",
    request_serializer=lambda message: message.SerializeToString(),
    response_deserializer=response.FromString,
)
assert call(request, metadata=METADATA).value.integer == 42
channel.close()
print("ok")
