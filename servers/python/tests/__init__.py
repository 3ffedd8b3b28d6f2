"""Unit tests of the server, run on every CPython that is found by `tests/python_unit_test.ts`."""
