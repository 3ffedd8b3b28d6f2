"""The vectors that both languages' tests read."""

from __future__ import annotations

import json
import os

_DIRECTORY = os.path.join(os.path.dirname(__file__), "..", "..", "..", "tests", "golden")


def read_golden(name: str) -> dict:
    """One file of vectors."""
    with open(os.path.join(_DIRECTORY, name), encoding="utf-8") as file:
        return json.load(file)
