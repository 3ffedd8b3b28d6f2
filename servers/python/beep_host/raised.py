"""Exceptions that may come back: a client's function, or its `with` body, that failed by one of its own calls fails in
Python by that very exception.

They are kept only while there is somewhere to come back to: while Python waits for one of the client's functions, or
while one of its contexts is open. Each keeps the frames that it went through, so that few are kept.
"""

from __future__ import annotations

from itertools import count

from beep_host.errors import JavaScriptError

_MOST_KEPT = 16

_next_id = count(1).__next__


def keep(client: object, error: BaseException) -> int | None:
    """Keeps an exception that is being told to the client and gives its number, if it may come back."""
    if not client.invocations and not client.contexts:
        return None
    number = _next_id()
    client.raised[number] = error
    while len(client.raised) > _MOST_KEPT:
        # Two threads may find the same oldest one.
        client.raised.pop(next(iter(client.raised), None), None)
    return number


def forget_unused(client: object) -> None:
    """Lets the exceptions go when there is nowhere left to come back to."""
    if client.raised and not client.invocations and not client.contexts:
        client.raised.clear()


def as_exception(client: object, error: object) -> BaseException:
    """What a client's error becomes in Python: the exception that it came from, else a `JavaScriptError`."""
    if type(error) is not dict:
        return JavaScriptError("Error", str(error))
    kept = client.raised.get(error.get("exception"))
    if kept is not None:
        return kept
    return JavaScriptError(
        str(error.get("name") or "Error"),
        str(error.get("message") or ""),
        str(error.get("stack") or ""),
        error.get("id") if type(error.get("id")) is int else None,
    )
