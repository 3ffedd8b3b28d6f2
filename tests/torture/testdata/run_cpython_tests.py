"""Runs one of CPython's own test modules here and gives the outcome of each of its tests, by id.

Read as text and evaluated inside a server, and run by a plain interpreter: the outcomes are compared.
"""

import io
import json
import os
import sys
import tempfile
import unittest


class Outcomes(unittest.TestResult):
    """Remembers how each test ended; a test with failing subtests failed."""

    def __init__(self):
        super().__init__()
        self.outcomes = {}
        self.details = {}

    def _end(self, test, outcome, detail=""):
        name = test.id() if hasattr(test, "id") else str(test)
        if self.outcomes.get(name) not in ("failed", "error"):
            self.outcomes[name] = outcome
            if detail:
                self.details[name] = detail

    def addSuccess(self, test):
        self._end(test, "ok")

    def addError(self, test, error):
        super().addError(test, error)
        self._end(test, "error", self.errors[-1][1][-2000:])

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._end(test, "failed", self.failures[-1][1][-2000:])

    def addSkip(self, test, reason):
        self._end(test, "skipped")

    def addExpectedFailure(self, test, error):
        self._end(test, "expected failure")

    def addUnexpectedSuccess(self, test):
        self._end(test, "unexpected success")

    def addSubTest(self, test, subtest, error):
        if error is not None:
            super().addSubTest(test, subtest, error)
            listed = self.failures if issubclass(error[0], test.failureException) else self.errors
            self._end(test, "failed", listed[-1][1][-2000:])


def tests_of(suite):
    """The tests of a suite, one after the other."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def run_module(name, ids=None):
    """The outcomes of `test.<name>`, or of those of its tests that are asked for, run in a directory of its own."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="beep-cpython-") as directory:
        os.chdir(directory)
        try:
            suite = unittest.defaultTestLoader.loadTestsFromName("test." + name)
            if ids is not None:
                chosen = [test for test in tests_of(suite) if test.id() in ids]
                # What is no test, as the set-up of a class, is asked for: it comes again only with all of them.
                if {test.id() for test in chosen} == set(ids):
                    suite = unittest.TestSuite(chosen)
            result = Outcomes()
            suite.run(result)
        finally:
            os.chdir(before)
    return {"outcomes": result.outcomes, "details": result.details}


if __name__ == "__main__":
    print("\n" + json.dumps(run_module(sys.argv[1], json.loads(sys.argv[2]))))
