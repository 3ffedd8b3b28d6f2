"""What a hostile client of gRPC tries: python _hostile_grpc.py <address> <token> <limit of a message>; prints one line of JSON."""

import json
import sys
import threading

import grpc

ADDRESS, TOKEN, LIMIT = sys.argv[1], sys.argv[2], int(sys.argv[3])
EVALUATE = "/beep.python.v1.PythonService/Evaluate"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
WATCH = "/grpc.health.v1.Health/Watch"
RIGHT = (("authorization", f"Bearer {TOKEN}"),)
# EvaluateRequest { code: "7" }
SEVEN = b"\x12\x017"
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def code_of(call: object) -> str:
    """The name of the status that a call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def main() -> None:
    found = {}
    with grpc.insecure_channel(ADDRESS, OPTIONS) as channel:
        evaluate = channel.unary_unary(EVALUATE)

        def said(data: bytes, metadata: tuple, **options: object) -> str:
            return code_of(lambda: evaluate(data, metadata=metadata, timeout=20, **options))

        found["right"] = said(SEVEN, RIGHT)
        found["none"] = said(SEVEN, ())
        found["empty"] = said(SEVEN, (("authorization", ""),))
        found["wrong"] = said(SEVEN, (("authorization", "Bearer " + "0" * 64),))
        found["shorter"] = said(SEVEN, (("authorization", f"Bearer {TOKEN[1:]}"),))
        found["other scheme"] = said(SEVEN, (("authorization", f"Basic {TOKEN}"),))
        found["twice"] = said(SEVEN, (*RIGHT, *RIGHT))
        found["a wrong one beside it"] = said(SEVEN, (("authorization", "Bearer x"), *RIGHT))
        found["in another field"] = said(SEVEN, (("token", TOKEN),))
        found["4 KiB of it"] = said(SEVEN, (("authorization", "Bearer " + "0" * 4096),))
        found["a web page"] = said(SEVEN, (*RIGHT, ("origin", "https://evil.example")))
        found["malformed"] = said(b"\x12\xff", RIGHT)
        found["deep"] = said(b"\x1a\x80", RIGHT)
        found["compressed"] = said(SEVEN, RIGHT, compression=grpc.Compression.Gzip)
        found["a bomb"] = said(b"\x12" + b"\0" * 20_000_000, RIGHT, compression=grpc.Compression.Gzip)
        found["too large"] = said(bytes(LIMIT + 1), RIGHT)
        found["no method"] = code_of(lambda: channel.unary_unary("/beep.python.v1.PythonService/No")(b"", metadata=RIGHT, timeout=20))
        found["no method, no token"] = code_of(lambda: channel.unary_unary("/a/b")(b"", timeout=20))
        found["a session of nobody"] = said(SEVEN, (*RIGHT, ("beep-session", "0" * 32)))

        # Streams that stay open would each hold a thread of the pool.
        done = threading.Event()

        def endless() -> object:
            yield b""
            done.wait(30)

        for path, name in ((REFLECT, "reflections"), (EVALUATE, "streams")):
            streams = [channel.stream_stream(path)(endless(), timeout=20) for _ in range(40)]
            found[name] = sorted({code_of(lambda stream=stream: next(stream)) for stream in streams})
        done.set()
        watches = [channel.unary_stream(WATCH)(b"", timeout=20) for _ in range(600)]
        found["watches"] = sorted({code_of(lambda watch=watch: next(watch)) for watch in watches})

    # Messages of somebody without the token, as large as they may be, on connections of their own.
    refused = set()
    lock = threading.Lock()

    def send_large(number: int) -> None:
        with grpc.insecure_channel(ADDRESS, [*OPTIONS, ("grpc.use_local_subchannel_pool", 1)]) as own:
            said_to = code_of(lambda: own.unary_unary(EVALUATE)(bytes(LIMIT), timeout=20))
        with lock:
            refused.add(said_to)

    threads = [threading.Thread(target=send_large, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found["large without a token"] = sorted(refused)
    print(json.dumps(found))


main()
