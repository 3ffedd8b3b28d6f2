"""Runs the unit tests below the working directory and ends with their counts as a line of JSON.

unittest's own summary cannot be used for that: what "Ran N tests" counts has changed between versions
(3.12.1 leaves skipped tests out), and failing subtests are counted each.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import unittest

# Less than `python_unit_test.ts` waits: what hangs is told by the place where it does.
_HANGS_AFTER_SECONDS = 14 * 60


class CountingResult(unittest.TextTestResult):
    """Counts tests that passed, which unittest does not."""

    passed = 0

    def addSuccess(self, test: unittest.TestCase) -> None:
        """Called once for each test that passed with all its subtests."""
        super().addSuccess(test)
        self.passed += 1


def main() -> None:
    """Runs the tests; the exit code is 1 when one failed."""
    faulthandler.dump_traceback_later(_HANGS_AFTER_SECONDS, exit=True)
    program = unittest.main(
        module=None,
        argv=["unittest", "discover", "-s", "tests", "-t", "."],
        testRunner=unittest.TextTestRunner(stream=sys.stdout, resultclass=CountingResult),
        exit=False,
    )
    result = program.result
    counts = {
        "passed": result.passed + len(result.expectedFailures),
        "failed": len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses),
        "skipped": len(result.skipped),
    }
    print("\n" + json.dumps(counts), flush=True)
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
