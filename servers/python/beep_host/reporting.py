"""`beep_host.progress`: how far a call is."""

from __future__ import annotations

from beep_host.errors import guarded_repr
from beep_host.output import call_that_asked, emit

# A longer message is cut, and says so.
_MAX_MESSAGE = 4096
_MAX_SHOWN = 80


def progress(done: float, total: float | None = None, message: str | None = None) -> None:
    """Tells the client how much is done, of how much, and what is being done.

    Does nothing when no call is running or its client does not listen; nonsense is an error also then, so that it
    shows in tests without a client.

    Raises:
        TypeError: when `done` or `total` is not a number, or `message` not a string.
        ValueError: when a number is negative, infinite or not a number, or `done` is above `total`.
    """
    done = _checked("done", done)
    if total is not None:
        total = _checked("total", total)
        if done > total:
            raise ValueError(f"Cannot report progress: done must be at most total, {total}, not {done}")
    if message is not None:
        if not isinstance(message, str):
            raise TypeError(f"Cannot report progress: message must be a string, not {type(message).__name__}")
        message = str.__str__(message)
        if len(message) > _MAX_MESSAGE:
            message = f"{message[:_MAX_MESSAGE]}… ({len(message)} characters)"
    call = call_that_asked("progress")
    if call is not None:
        emit(call, "progress", {"done": done, "total": total, "message": message})


def _checked(name: str, value: object) -> float:
    if isinstance(value, (bool, str, bytes)) or not hasattr(type(value), "__float__"):
        raise TypeError(f"Cannot report progress: {name} must be a number, not {type(value).__name__}")
    # numpy's numbers too: what travels is a plain one.
    if isinstance(value, int) and -(2**53) < value < 2**53:
        plain = int(value)
    else:
        try:
            plain = float(value)
        except OverflowError:
            plain = float("inf")
        if plain == plain and plain.is_integer() and hasattr(type(value), "__index__"):
            plain = int(plain)
    if plain != plain or not 0 <= plain < float("inf"):
        raise ValueError(f"Cannot report progress: {name} must be a finite number of at least 0, not {guarded_repr(value, _MAX_SHOWN)}")
    return plain
