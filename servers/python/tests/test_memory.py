"""The memory that a server tells is its own, and grows with what it holds."""

from __future__ import annotations

import gc
import sys
import unittest

from beep_host import memory


class Memory(unittest.TestCase):
    def test_tells_what_the_process_occupies(self) -> None:
        gc.collect()  # what other tests have left would come free between the two looks, now or then
        before = memory.resident_bytes()
        assert before is not None
        self.assertGreater(before, 1024 * 1024)
        held = bytearray(64 * 1024 * 1024)
        held[:: 4096] = b"x" * len(held[:: 4096])
        after = memory.resident_bytes()
        assert after is not None
        self.assertGreaterEqual(after - before, 60 * 1024 * 1024)

    @unittest.skipIf(sys.platform == "win32", "there is another way")
    def test_tells_the_peak_where_the_present_is_not_known(self) -> None:
        peak = memory._peak_bytes()
        assert peak is not None
        self.assertGreater(peak, 1024 * 1024)
