"""Feeds broken input to the server's readers, in this process: a typed error or a result, never anything else.

    python mutate.py <reader> <seed> <first> <count>

Each case is made from the seed and its own number alone, so a failure is repeated by `<its number> 1`, and a run that
was stopped goes on from where it was. Prints one line of JSON; the exit code is 1 when a case failed.
"""

from __future__ import annotations

import json
import os
import random
import struct
import sys
import time
from typing import Any, Callable

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "servers", "python"))

from beep_host.errors import HostError  # noqa: E402
from beep_host.execution import check_request  # noqa: E402
from beep_host.frames import FrameDecoder, encode_frame  # noqa: E402
from beep_host.http_frames import check, split_frames  # noqa: E402
from beep_host.http_parser import RequestParser  # noqa: E402
from beep_host.http_policy import HttpPolicy  # noqa: E402
from beep_host.json_text import loads  # noqa: E402
from beep_host.tags import decode as decode_tags  # noqa: E402

# A case that takes longer has found a way to keep the server busy with few bytes. Of the processor: a machine that is
# busy with other work holds up any process.
SLOW_SECONDS = 2.0
INTERESTING = (0, 1, 0x0A, 0x0D, 0x20, 0x22, 0x24, 0x2C, 0x3A, 0x5B, 0x5D, 0x7B, 0x7D, 0x7F, 0x80, 0xC0, 0xED, 0xFF)


def golden(name: str) -> dict:
    with open(os.path.join(ROOT, "tests", "golden", name), encoding="utf-8") as file:
        return json.load(file)


def mutate(data: bytes, rng: random.Random, pieces: list) -> bytes:
    """`data` with one to four things broken."""
    made = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(made) + 1)
        kind = rng.randrange(8)
        if kind == 0 and at < len(made):
            made[at] = rng.randrange(256)
        elif kind == 1 and at < len(made):
            made[at] = rng.choice(INTERESTING)
        elif kind == 2 and at < len(made):
            made[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            del made[at:]
        elif kind == 4:
            del made[at : at + rng.randint(1, 8)]
        elif kind == 5:
            made[at:at] = bytes(rng.choice(INTERESTING) for _ in range(rng.randint(1, 4)))
        elif kind == 6:
            made[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)))
        else:
            other = rng.choice(pieces)
            start = rng.randrange(len(other) + 1)
            made[at:at] = other[start : start + rng.randint(1, 40)]
    return bytes(made)


def cut(data: bytes, rng: random.Random) -> list:
    """`data` in pieces, as a network would bring it."""
    if rng.random() < 0.5:
        return [data]
    pieces = []
    while data:
        size = rng.choice((1, 2, 7, 64, len(data)))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


class Frames:
    """The pipe: a stream of frames, each the request of a client."""

    def __init__(self) -> None:
        requests = [
            [1, "evaluate", ["1 + 1", {"a": 1}]],
            [2, "call", [7, "name", [1, {"$": ["bytes", 0]}], {}], {"tagged": 1, "stdout": 1}],
            [3, "cancel", [2]],
            [4, "release", [[1, 2, 3]]],
            ["hello", {"protocol": 1, "client": "x", "lane": "session", "session": None, "nonce": "0" * 32}],
            ["proof", "0" * 64],
        ]
        self.corpus = [bytes.fromhex(frame["bytes"]) for frame in golden("frames.json")["frames"]]
        self.corpus = [data for data in self.corpus if len(data) < 4096]
        self.corpus += [encode_frame(json.dumps(request).encode(), [b"abc", b""]) for request in requests]

    def run(self, rng: random.Random) -> None:
        data = b"".join(rng.choice(self.corpus) for _ in range(rng.randint(1, 4)))
        data = mutate(data, rng, self.corpus)
        decoder = FrameDecoder(1 << 20)
        for piece in cut(data, rng):
            # As a connection does: into the memory that is being filled, else by feeding.
            while piece:
                target = decoder.target()
                if target is None:
                    decoder.feed(piece)
                    piece = b""
                else:
                    size = min(len(target), len(piece))
                    target[:size] = piece[:size]
                    target = None
                    decoder.filled(size)
                    piece = piece[size:]
                while True:
                    frame = decoder.next()
                    if frame is None:
                        break
                    check_request(loads(frame[0]))


class Http:
    """HTTP: heads, bodies of both kinds, the policy, and the frames of a body."""

    def __init__(self) -> None:
        frames = Frames().corpus
        self.policy = HttpPolicy(5678, "t" * 64, ("box:1",), ("https://app.example",), ["eval", "call"])
        right = b"Host: localhost:5678\r\nAuthorization: Bearer " + b"t" * 64 + b"\r\n"
        body = b"".join(frames[-3:])
        chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(frame), frame) for frame in frames[:5] if frame) + b"0\r\nA: b\r\n\r\n"
        beep = b"POST /beep/v1/call?cancelOnDisconnect=1 HTTP/1.1\r\n" + right + b"Content-Type: application/x-beep-frames\r\n"
        post = b"POST /api/eval HTTP/1.1\r\n" + right + b"Content-Type: application/json; charset=utf-8\r\n"
        self.corpus = [
            b"GET /health HTTP/1.1\r\nHost: localhost:5678\r\n\r\n",
            b"GET http://127.0.0.1:5678/health?x HTTP/1.0\r\nHost: [::1]:5678\r\nConnection: keep-alive\r\n\r\n",
            b"\r\n" + post + b"Content-Length: 18\r\n\r\n{\"expression\":\"7\"}",
            post + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n12\r\n{\"expression\":\"7\"}\r\n0\r\n\r\n",
            beep + b"Beep-Session: abc\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
            beep + b"Transfer-Encoding: chunked\r\n\r\n" + chunks,
            b"OPTIONS * HTTP/1.1\r\nHost: localhost:5678\r\nOrigin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n\r\n",
        ]

    def run(self, rng: random.Random) -> None:
        data = b"".join(rng.choice(self.corpus) for _ in range(rng.randint(1, 3)))
        data = mutate(data, rng, self.corpus)
        parser = RequestParser(16 * 1024, 1 << 20)
        head = None
        for piece in cut(data, rng):
            target = parser.target()
            if target is not None:
                size = min(len(target), len(piece))
                target[:size] = piece[:size]
                target = None
                parser.advance(size)
                piece = piece[size:]
            parser.feed(piece)
            while True:
                if head is None:
                    head = parser.next_head()
                    if head is None:
                        break
                    self.policy.judge(head)
                body = parser.next_body()
                if body is None:
                    break
                if head.path == b"/beep/v1/call":
                    for json_bytes, _ in split_frames(body):
                        check(json_bytes)
                elif body:
                    loads(bytes(body))
                head = None


class _Context:
    """Knows one handle and any function."""

    def handle(self, handle_id: int) -> object:
        if handle_id == 1:
            return "object"
        raise HostError("Cannot find handle")

    def function(self, function_id: int, is_async: bool) -> Callable:
        return lambda: function_id


class Values:
    """Tagged values: trees whose pieces have changed places."""

    def __init__(self) -> None:
        vectors = golden("values.json")["values"]
        self.pool: list = [None, True, -1, 0, 1, 3, 1e9, 0.5, "", "nan", "ff", "-0", "2024-01-01", "<f8", "|O", "os.system", [], {}]
        self.trees = [vector["tagged"] for vector in vectors]
        self.names: list = ["function", "object", "enum", "namedtuple", "dataclass", "converted", "nothing"]
        for tree in self.trees:
            self._collect(tree)
        self.names = sorted(set(self.names))

    def _collect(self, value: Any) -> None:
        self.pool.append(value)
        if type(value) is list:
            if value and type(value[0]) is str:
                self.names.append(value[0])
            for item in value:
                self._collect(item)
        elif type(value) is dict:
            for item in value.values():
                self._collect(item)

    def _made(self, rng: random.Random, depth: int) -> Any:
        kind = rng.randrange(6)
        if kind < 2 or depth > 5:
            return json.loads(json.dumps(rng.choice(self.pool)))
        if kind < 4:
            return {"$": [rng.choice(self.names), *(self._made(rng, depth + 1) for _ in range(rng.randrange(5)))]}
        if kind == 4:
            return [self._made(rng, depth + 1) for _ in range(rng.randrange(4))]
        return {rng.choice(("a", "$", "", "__class__")): self._made(rng, depth + 1) for _ in range(rng.randrange(3))}

    def run(self, rng: random.Random) -> None:
        parts = [bytearray(rng.randrange(20)) for _ in range(rng.randrange(4))]
        decode_tags(self._made(rng, 0), parts, _Context())


class Rpc:
    """RPC: messages in binary and as JSON."""

    def __init__(self) -> None:
        from beep_host import rpc_binary, rpc_json, rpc_schema

        self.readers = (rpc_binary, rpc_json)
        self.names = sorted(rpc_schema.MESSAGES)
        self.messages = rpc_schema.MESSAGES

    def _binary(self, rng: random.Random, name: str, depth: int) -> bytes:
        """A message with some of its fields, right in form."""
        data = b""
        for number, _field, _json, kind, _label in rng.sample(self.messages[name], min(3, len(self.messages[name]))):
            if kind in self.messages:
                inner = self._binary(rng, kind, depth + 1) if depth < 5 else b""
                data += _varint(number << 3 | 2) + _varint(len(inner)) + inner
            elif kind in ("string", "bytes"):
                inner = bytes(rng.choice(INTERESTING) for _ in range(rng.randrange(5)))
                data += _varint(number << 3 | 2) + _varint(len(inner)) + inner
            elif kind == "double":
                data += _varint(number << 3 | 1) + bytes(8)
            elif kind == "float":
                data += _varint(number << 3 | 5) + bytes(4)
            else:
                data += _varint(number << 3) + _varint(rng.choice((0, 1, 127, 128, 2**63, 2**64 - 1)))
        return data

    def run(self, rng: random.Random) -> None:
        name = rng.choice(self.names)
        binary, text = self.readers
        if rng.random() < 0.6:
            binary.decode(name, mutate(self._binary(rng, name, 0), rng, [b"\x0a\x00\xff\xff\xff\xff\x0f"]))
            return
        fields = {
            field[rng.choice((1, 2))]: rng.choice((None, 1, -1, 2**70, "x", "1", "AA==", [], [1], {}, {"text": "x"}, True, 0.5))
            for field in self.messages[name]
            if rng.random() < 0.5
        }
        text.decode(name, mutate(json.dumps(fields).encode(), rng, [b'{"list":{"items":[']) if rng.random() < 0.5 else json.dumps(fields).encode())


def _varint(number: int) -> bytes:
    data = b""
    while number > 0x7F:
        data += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return data + bytes((number,))


READERS = {"frames": Frames, "http": Http, "values": Values, "rpc": Rpc}


def main(name: str, seed: str, first: int, count: int) -> int:
    reader = READERS[name]()
    # As in a server, which does not import json.
    sys.modules.pop("json.decoder", None)
    refused = 0
    slowest = 0.0
    for number in range(first, first + count):
        began = time.process_time()
        try:
            reader.run(random.Random(f"{seed}:{number}"))
        except HostError:
            refused += 1
        except BaseException as error:
            import traceback

            traceback.print_exc()
            print(json.dumps({"reader": name, "seed": seed, "number": number, "error": repr(error)}))
            return 1
        took = time.process_time() - began
        slowest = max(slowest, took)
        if took > SLOW_SECONDS:
            print(json.dumps({"reader": name, "seed": seed, "number": number, "error": f"it took {took:.1f} s"}))
            return 1
    print(json.dumps({"reader": name, "seed": seed, "done": count, "refused": refused, "slowestMs": round(slowest * 1000)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
