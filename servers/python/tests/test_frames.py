"""Frames, against the vectors that TypeScript reads too, cut in every way."""

from __future__ import annotations

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
