"""Frames, against the vectors that TypeScript reads too, cut in every way."""

from __future__ import annotations

import array
import unittest
from struct import pack

from beep_host.errors import LimitError
from beep_host.frames import FrameDecoder, encode_buffers, encode_frame

from tests.golden import read_golden


def frames_of(decoder: FrameDecoder) -> list:
    found = []
    frame = decoder.next()
    while frame is not None:
        found.append((bytes(frame[0]), [bytes(part) for part in frame[1]]))
        frame = decoder.next()
    return found


def feed_by_target(decoder: FrameDecoder, data: bytes, size: int) -> list:
    """As a connection does: into the target where there is one, else by chunks."""
    found = []
    while data:
        target = decoder.target()
        if target is not None:
            count = min(len(target), size, len(data))
            target[:count] = data[:count]
            decoder.filled(count)
        else:
            count = min(size, len(data))
            decoder.feed(data[:count])
        data = data[count:]
        found += frames_of(decoder)
    return found


class Frames(unittest.TestCase):
    big = bytes(range(256)) * 1024
    frames = [(b"[1]", []), (b'["\xc3\xa4"]', [b"", b"abc", big]), (b"[]", [b"x"] * 300), (b'"' + b"y" * 200_000 + b'"', [])]

    def test_round_trip_in_pieces_of_every_size(self) -> None:
        data = b"".join(encode_frame(json, parts) for json, parts in self.frames)
        for size in (1, 2, 7, 64, 4096, 65536, len(data)):
            with self.subTest(size=size):
                decoder = FrameDecoder()
                self.assertEqual(feed_by_target(decoder, data, size), self.frames)
                self.assertTrue(decoder.at_boundary)

    def test_buffers_join_to_the_frame(self) -> None:
        for json, parts in self.frames:
            self.assertEqual(b"".join(encode_buffers(json, parts)), encode_frame(json, parts))

    def test_truncation_is_seen(self) -> None:
        data = encode_frame(b"[1]", [b"abc"])
        for cut in range(1, len(data)):
            decoder = FrameDecoder()
            decoder.feed(data[:cut])
            self.assertEqual(frames_of(decoder), [])
            self.assertFalse(decoder.at_boundary)

    def test_limits_come_before_memory(self) -> None:
        for head in (pack("<II", 0xFFFFFFFF, 0), pack("<II", 0, 65_537), pack("<III", 2, 1, 0xFFFFFFFF)):
            with self.subTest(head=head), self.assertRaises(LimitError):
                decoder = FrameDecoder(1024)
                decoder.feed(head)
                decoder.next()

    def test_parts_can_be_written(self) -> None:
        decoder = FrameDecoder()
        decoder.feed(encode_frame(b"1", [b"ab"]))
        part = decoder.next()[1][0]
        part[0] = 0
        self.assertEqual(bytes(part), b"\0b")

    def test_golden_vectors(self) -> None:
        vectors = read_golden("frames.json")["frames"]
        self.assertGreater(len(vectors), 3)
        for vector in vectors:
            with self.subTest(vector=vector["name"]):
                data = bytes.fromhex(vector["bytes"])
                parts = [bytes.fromhex(part) for part in vector["parts"]]
                self.assertEqual(encode_frame(vector["json"].encode(), parts), data)
                decoder = FrameDecoder()
                decoder.feed(data)
                self.assertEqual(frames_of(decoder), [(vector["json"].encode(), parts)])

    def test_golden_limits(self) -> None:
        for vector in read_golden("frames.json")["limits"]:
            with self.subTest(vector=vector["name"]), self.assertRaises(LimitError):
                decoder = FrameDecoder(vector["maxFrameBytes"])
                decoder.feed(bytes.fromhex(vector["bytes"]))
                decoder.next()


class ArrayParts(unittest.TestCase):
    """Parts that the message names as the items of an array are received into one."""

    def parts_of(self, json: bytes, *parts: bytes, step: int = 300_000) -> list:
        decoder = FrameDecoder()
        frame = encode_frame(json, parts)
        decoder.feed(frame[:100])
        at = 100
        while True:
            whole = decoder.next()
            if whole is not None:
                return whole[1]
            target = decoder.target()
            count = min(step, len(frame) - at, step if target is None else len(target))
            if target is None:
                decoder.feed(frame[at : at + count])
            else:
                target[:count] = frame[at : at + count]
                target.release()
                decoder.filled(count)
            at += count

    def test_a_large_array_is_received_into_one(self) -> None:
        numbers = array.array("d", range(400_000))
        for step in (300_000, 1_048_576, 5_000_000):
            (part,) = self.parts_of(b'[1,"f",[{"$":["array","<f8",[400000],0]}]]', numbers.tobytes(), step=step)
            self.assertEqual((part, type(part)), (numbers, array.array))

    def test_an_array_is_the_same_when_it_comes_in_chunks(self) -> None:
        numbers = array.array("I", range(300_000))
        frame = encode_frame(b'[{"$":["array","<u4",[300000],0]}]', [numbers.tobytes()])
        decoder = FrameDecoder()
        decoder.feed(frame)
        whole = decoder.next()
        assert whole is not None
        self.assertEqual((whole[1], decoder.at_boundary), ([numbers], True))

    def test_what_is_no_such_array_stays_bytes(self) -> None:
        data = bytes(range(256)) * 2048
        for json in (
            b'[{"$":["bytes",0]}]',
            b'[{"$":["array","<f8",[256,256],0]}]',
            b'[{"$":["array","<f8",[65535],0]}]',
            b'[{"$":["array","<c8",[65536],0]}]',
            b'[{"$":["array","|u1",[524288],0]}]',
            b'["{\\"$\\":[\\"array\\",\\"<f8\\",[65536],0]}"]',
            b'[{"$":["array","<f8",[65536],1]}]',
        ):
            with self.subTest(json=json):
                (part,) = self.parts_of(json, data)
                self.assertEqual((bytes(part), type(part)), (data, bytearray))

    def test_each_part_has_a_tag_of_its_own(self) -> None:
        shorts, bytes_, floats = array.array("h", [7]) * 200_000, b"x" * 300_000, array.array("f", [1.5]) * 100_000
        json = b'[{"$":["array","<i2",[200000],0]},{"$":["bytes",1]},{"$":["array","<f4",[100000],2]}]'
        self.assertEqual(self.parts_of(json, shorts.tobytes(), bytes_, floats.tobytes()), [shorts, bytes_, floats])
