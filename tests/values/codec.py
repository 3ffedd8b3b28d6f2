"""A Python that does nothing but encode and decode values, for the tests of the codecs. Frames on stdin and
stdout.
"""

from __future__ import annotations

import json
import os
import random
import struct
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(_HERE, "..", "..", "servers", "python"))
sys.path.insert(0, _HERE)

from beep_host import values  # noqa: E402
from beep_host.errors import HostError, StaleHandle  # noqa: E402
from beep_host.frames import encode_frame  # noqa: E402
from random_values import describe, random_value  # noqa: E402


class Context:
    def __init__(self) -> None:
        self.objects: dict[int, object] = {}
        self.last = 0
        self.converters: dict[str, tuple[str, ...]] = {}

    def new_handle(self, value: object) -> tuple[int, str]:
        self.last += 1
        self.objects[self.last] = value
        return self.last, type(value).__name__

    def drop_handles(self, ids: list[int]) -> None:
        for number in ids:
            del self.objects[number]

    def handle(self, number: int) -> object:
        try:
            return self.objects[number]
        except KeyError:
            raise StaleHandle(f"Cannot use handle {number}: it is not held") from None

    def function(self, number: int, is_async: bool) -> object:
        def function() -> tuple[int, bool]:
            return number, is_async

        return function


class Codec:
    def __init__(self) -> None:
        self.context = Context()
        self.names: dict = {"__name__": "__main__", "describe": describe, "context": self.context}
        self.generated: list = []

    def run(self, message: list, parts: list) -> tuple[str, object, list]:
        operation, *rest = message
        if operation == "exec":
            exec(rest[0], sys.modules["__main__"].__dict__)
            return "ok", None, []
        if operation == "encode":
            code, mode, form = rest
            return self.encode(eval(code, sys.modules["__main__"].__dict__), mode, form)
        if operation == "check":  # decodes, then evaluates an expression about `value`
            value = values.decode(rest[0], parts, self.context)
            return self.encode(
                eval(rest[1], {**sys.modules["__main__"].__dict__, "value": value}), "auto", "packed"
            )
        if operation == "echo":
            return self.encode(values.decode(rest[0], parts, self.context), rest[1], rest[2])
        if operation == "describe":
            value = values.decode(rest[0], parts, self.context)
            kind, text, out = self.encode(value, "auto", rest[1])
            return kind, [describe(value), text], out
        if operation == "generate":
            seed, form = rest
            self.generated = [random_value(random.Random(seed), 4)]
            return self.encode(self.generated[0], "value", form)
        if operation == "returned":
            value = values.decode(rest[0], parts, self.context)
            sent, came = describe(self.generated[0]), describe(value)
            return "ok", None if sent == came else [sent, came], []
        raise ValueError(operation)

    def encode(self, value: object, mode: str, form: str) -> tuple[str, object, list]:
        if form == "packed":
            kind, text, parts = values.encode(value, mode, self.context)
            return kind, json.loads(text) if text else None, parts
        if form == "plain":
            return "ok", values.plain(value, self.context), []
        text, parts = values.encode_tagged(value, mode, self.context, inline=form == "inline")
        return "tagged", json.loads(text), parts


def main() -> None:
    sys.modules["__main__"].__dict__.update(describe=describe)
    codec = Codec()
    read = sys.stdin.buffer.read
    while True:
        prefix = read(8)
        if not prefix:
            return
        size, count = struct.unpack("<II", prefix)
        lengths = struct.unpack(f"<{count}I", read(4 * count))
        message = json.loads(read(size))
        parts = [read(length) for length in lengths]
        sys.modules["__main__"].__dict__["context"] = codec.context
        try:
            kind, value, out = codec.run(message, parts)
        except HostError as error:
            kind, value, out = "error", error.payload(), []
        except Exception as error:
            kind, value, out = "failure", f"{type(error).__name__}: {error}", []
        sys.stdout.buffer.write(encode_frame(json.dumps([kind, value]).encode(), out))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
