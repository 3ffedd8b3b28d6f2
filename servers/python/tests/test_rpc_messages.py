"""Messages of the RPC schema: binary and JSON, against bytes written by hand, and against protobuf where it is there."""

import base64
import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from beep_host import rpc_binary, rpc_json, rpc_schema  # noqa: E402
from beep_host.errors import ProtocolError  # noqa: E402

SAMPLES = [
    ("EvaluateRequest", {"code": "1+1"}, "12 03 31 2b 31", b'{"code":"1+1"}'),
    ("EvaluateResponse", {"value": {"integer": 2}}, "0a 02 10 02", b'{"value":{"integer":"2"}}'),
    ("Value", {"integer": -1}, "10 ff ff ff ff ff ff ff ff ff 01", b'{"integer":"-1"}'),
    ("Value", {"boolean": False}, "08 00", b'{"boolean":false}'),
    ("Value", {"real": float("inf")}, "21 00 00 00 00 00 00 f0 7f", b'{"real":"Infinity"}'),
    ("Value", {"binary": b"\x00\xff"}, "3a 02 00 ff", b'{"binary":"AP8="}'),
    ("Complex", {"imaginary": -0.0}, "11 00 00 00 00 00 00 00 80", b'{"imaginary":-0.0}'),
    ("DisposeHandlesRequest", {"handle_ids": [1, 300]}, "12 03 01 ac 02", b'{"handleIds":["1","300"]}'),
    ("CancelResponse", {"outcome": 1}, "08 01", b'{"outcome":"CANCEL_OUTCOME_STOPPED"}'),
    ("ToFloatArrayResponse", {"values": [0.5]}, "0a 04 00 00 00 3f", b'{"values":[0.5]}'),
]


class MessagesTest(unittest.TestCase):
    def test_samples(self) -> None:
        for name, message, hexadecimal, json in SAMPLES:
            with self.subTest(name=name, message=message):
                data = bytes.fromhex(hexadecimal)
                self.assertEqual(rpc_binary.encode(name, message), data)
                self.assertEqual(repr(rpc_binary.decode(name, data)), repr(message))
                self.assertEqual(rpc_json.encode(name, message), json)
                self.assertEqual(repr(rpc_json.decode(name, json)), repr(message))

    def test_defaults_are_absent(self) -> None:
        message = {"code": "", "locals": [], "options": {"concurrent": False}}
        self.assertEqual(rpc_binary.encode("EvaluateRequest", message), b"\x0a\x00")
        self.assertEqual(rpc_json.encode("EvaluateRequest", message), b'{"options":{}}')

    def test_large_bytes_are_not_copied(self) -> None:
        data = bytes(100_000)
        buffers = rpc_binary.encode_buffers("Value", {"binary": data})
        self.assertTrue(any(buffer is data for buffer in buffers))

    def test_unpacked_numbers_are_read(self) -> None:
        self.assertEqual(rpc_binary.decode("PingResponse", b"\x08\x05\x08\x06"), {"running_call_ids": [5, 6]})

    def test_unknown_fields_are_passed_over(self) -> None:
        for unknown in ("a0 06 01", "a1 06 00 00 00 00 00 00 00 00", "a5 06 00 00 00 00", "a2 06 01 00"):
            data = bytes.fromhex(unknown) + b"\x12\x01x"
            self.assertEqual(rpc_binary.decode("EvaluateRequest", data), {"code": "x"})

    def test_every_cut_of_a_message_is_an_error_or_a_message(self) -> None:
        items = [{"text": "abc"}, {"integer": 2**40}, {"real": 1.5}, {"list": {"items": [{"binary": b"x" * 200}]}}]
        data = rpc_binary.encode("Value", {"list": {"items": items}})
        for end in range(1, len(data)):
            with self.assertRaises(ProtocolError):
                rpc_binary.decode("Value", data[:end])

    def test_random_bytes_never_break_it(self) -> None:
        source = random.Random(7)
        for _ in range(3000):
            data = bytes(source.getrandbits(8) for _ in range(source.randrange(40)))
            try:
                rpc_binary.decode(source.choice(list(rpc_schema.MESSAGES)), data)
            except ProtocolError as error:
                self.assertIn("Cannot read", error.message)

    def test_nesting_is_bounded(self) -> None:
        message: dict = {}
        for _ in range(700):
            message = {"list": {"items": [message]}}
        sys.setrecursionlimit(10_000)
        try:
            data = rpc_binary.encode("Value", message)
        finally:
            sys.setrecursionlimit(1000)
        with self.assertRaises(ProtocolError):
            rpc_binary.decode("Value", data)

    def test_json_says_where(self) -> None:
        for text, place in (
            (b'{"code":5}', "EvaluateRequest.code"),
            (b'{"locals":{}}', "EvaluateRequest.locals"),
            (b'{"locals":[{"value":{"integer":"1.5"}}]}', "EvaluateRequest.locals[0].value.integer"),
            (b'{"locals":[{"value":{"binary":"?"}}]}', "EvaluateRequest.locals[0].value.binary"),
            (b'{"options":{"resultMode":"NOPE"}}', "EvaluateRequest.options.result_mode"),
            (b"[]", "EvaluateRequest"),
        ):
            with self.subTest(text=text), self.assertRaises(ProtocolError) as caught:
                rpc_json.decode("EvaluateRequest", text)
            self.assertIn(f"Cannot read {place}:", caught.exception.message)

    def test_fields_that_exclude_each_other(self) -> None:
        for name, text, said in (
            ("Value", b'{"text":"a","integer":"1"}', "Value: it has text and integer"),
            (
                "CreateObjectRequest",
                b'{"moduleName":"a","moduleHandleId":"1"}',
                "CreateObjectRequest: it has module_name and module_handle_id",
            ),
            (
                "RunRequest",
                b'{"operations":[{},{"evaluate":{},"send":{}}]}',
                "RunRequest.operations[1]: it has evaluate and send",
            ),
        ):
            with self.subTest(text=text), self.assertRaises(ProtocolError) as caught:
                rpc_json.decode(name, text)
            self.assertEqual(caught.exception.message, f"Cannot read {said}, which exclude each other")
        self.assertEqual(rpc_json.decode("Value", b'{"text":null,"integer":"1"}'), {"integer": 1})
        for name, messages in (
            ("Value", [{"text": "a"}, {"list": {"items": [{}]}}, {"integer": 1}]),
            ("CreateObjectRequest", [{"module_handle_id": 1, "class_name": "A"}, {"module_name": "a"}]),
        ):
            last = {**messages[0], **messages[-1]}
            del last[next(iter(messages[0]))]
            data = b"".join([rpc_binary.encode(name, message) for message in messages])
            self.assertEqual(rpc_binary.decode(name, data), last)

    def test_a_message_in_pieces(self) -> None:
        pieces = [{"options": {"stdout": True, "call_id": 1}, "code": "a"}, {"options": {"call_id": 2}, "code": "b"}]
        data = b"".join([rpc_binary.encode("EvaluateRequest", piece) for piece in pieces])
        whole = {"options": {"stdout": True, "call_id": 2}, "code": "b"}
        self.assertEqual(rpc_binary.decode("EvaluateRequest", data), whole)

    def test_a_field_under_both_its_names(self) -> None:
        with self.assertRaises(ProtocolError) as caught:
            rpc_json.decode("ImportModuleResponse", b'{"moduleName":"a","module_name":"b"}')
        self.assertEqual(caught.exception.message, "Cannot read ImportModuleResponse.module_name: it is given twice")

    def test_json_in_the_forms_that_others_write(self) -> None:
        self.assertEqual(rpc_json.decode("Value", b'{"integer":5}'), {"integer": 5})
        self.assertEqual(rpc_json.decode("Value", b'{"integer":5.0}'), {"integer": 5})
        self.assertEqual(rpc_json.decode("Value", b'{"real":"1e3"}'), {"real": 1000.0})
        self.assertEqual(rpc_json.decode("Value", b'{"surrogate_text":"_-8"}'), {"surrogate_text": b"\xff\xef"})
        self.assertEqual(rpc_json.decode("Value", b'{"text":null}'), {})
        self.assertEqual(rpc_json.decode("EvaluateRequest", b""), {})


def _protobuf_classes() -> dict:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    from beep_host.rpc_descriptor import DESCRIPTOR_SET

    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(DESCRIPTOR_SET)).file:
        pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"beep.python.v1.{name}"))
        for name in rpc_schema.MESSAGES
    }


def _random_message(source: random.Random, name: str, depth: int) -> dict:
    message: dict = {}
    for _number, field, _json_name, kind, label in source.choices(rpc_schema.MESSAGES[name], k=2):
        if kind in rpc_schema.MESSAGES:
            if depth == 0:
                continue
            value: object = _random_message(source, kind, depth - 1)
        elif kind == "string":
            value = source.choice(("", "a", "\xe9"))
        elif kind == "bytes":
            value = source.choice((b"", b"\xff"))
        else:
            value = source.randrange(3) if kind not in ("double", "float") else source.choice((0.0, 0.5))
        message[field] = [value] if label == 2 else value
    return message


class AgainstProtobufTest(unittest.TestCase):
    def setUp(self) -> None:
        try:
            self.classes = _protobuf_classes()
        except (ImportError, AttributeError) as error:  # before 4.22 there was no GetMessageClass
            self.skipTest(f"no protobuf of today is installed: {error}")

    def test_both_read_what_the_other_writes(self) -> None:
        from google.protobuf import json_format

        for name, message, _, json in SAMPLES:
            theirs = self.classes[name].FromString(rpc_binary.encode(name, message))
            self.assertEqual(repr(rpc_binary.decode(name, theirs.SerializeToString())), repr(message))
            self.assertEqual(json_format.Parse(json, self.classes[name]()), theirs)
            self.assertEqual(rpc_json.decode(name, json_format.MessageToJson(theirs).encode()), message)

    def test_both_read_the_same_from_messages_one_after_the_other(self) -> None:
        source = random.Random(11)
        names = list(rpc_schema.MESSAGES)
        for _ in range(2000):
            name = source.choice(names)
            messages = [_random_message(source, name, 3) for _ in range(source.randrange(1, 4))]
            data = b"".join([rpc_binary.encode(name, message) for message in messages])
            theirs = self.classes[name].FromString(data)
            ours = self.classes[name].FromString(rpc_binary.encode(name, rpc_binary.decode(name, data)))
            self.assertEqual(ours, theirs, data)


if __name__ == "__main__":
    unittest.main()
