"""JSON text: what is none is a typed error, however it is broken."""

from __future__ import annotations

import unittest

from beep_host.errors import ConversionError, ProtocolError
from beep_host.json_text import loads, loads_finite, loads_plain
from beep_host.nesting import nesting


class JsonText(unittest.TestCase):
    def test_white_space_around_a_value(self) -> None:
        self.assertEqual(loads(b" \t\r\n[1] "), [1])

    def test_what_is_no_json(self) -> None:
        for data in (
            b"",
            b" ",
            b"{",
            b"[1,]",
            b"[1 2]",
            b"1 2",
            b"nul",
            b"NaN",
            b"[Infinity]",
            b"'x'",
            b'"\x01"',
            b'"\\x"',
            b"\xff",
            b"\xed\xa0\x80",
            b"\xef\xbb\xbf[]",
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b"1" * 5000,
            # Found by mutation: behind white space these raised errors of json's own.
            b' ["\x01"]',
            b" {1}",
            b"\n[1,]",
            b" NaN",
            b" " + b"[" * 100_000,
            b" " + b"1" * 5000,
        ):
            if data.strip() == b"1" * 5000:
                import sys

                if not hasattr(sys, "get_int_max_str_digits"):
                    continue  # versions without the limit read it
            with self.assertRaises(ProtocolError, msg=data[:20]):
                loads(data)

    def test_numbers_beyond_the_range_of_floats(self) -> None:
        for number in (b"1e400", b"-1e400", b"1" + b"0" * 400 + b".5"):
            for data in (number, b" " + number, b'{"a":[' + number + b"]}"):
                for load in (loads_finite, loads_plain):
                    with self.assertRaisesRegex(ProtocolError, "beyond the range of floats"):
                        load(data)
        self.assertEqual(loads_finite(b"[1.5,-0.0,1e308,1e-400,3]"), [1.5, -0.0, 1e308, 0.0, 3])

    def test_values_without_tags_are_bounded(self) -> None:
        most = nesting.shallow_bytes
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            inner = b"" if opening == b"[" else b"1"
            nested = opening * most + inner + closing * most
            loads_plain(nested)
            # What is wide, or stands in a string, is not deep.
            loads_plain(b"[" + b",".join([nested[: len(opening)] + inner + closing] * 5_000) + b"]")
            loads_plain(b'["' + b"[{" * 5_000 + b'"]')
            with self.assertRaises(ConversionError):
                loads_plain(b"[1," + nested + b"]")


if __name__ == "__main__":
    unittest.main()
