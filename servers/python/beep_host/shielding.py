"""What the server does amid user code, on its thread, and which no interrupt of the call may break off."""

from __future__ import annotations

from _thread import get_ident
from sys import getprofile, gettrace, setprofile, settrace

from beep_host.errors import CallInterrupted

# The most interrupts raised in one call. Code that swallows three means it.
MAX_RAISED = 3


def shielded(call: object, function: object, *args: object) -> None:
    """Runs a function of ours amid user code, so that no interrupt breaks it off; one that is due comes after it."""
    if get_ident() != call.thread:
        _untraced(function, args)
        # A coroutine that does nothing but print never awaits, and could be stopped nowhere else.
        if call.cancel_requested and call.client.server.event_loop.is_current:
            raise CallInterrupted
        return
    if not call.interruptible:
        _untraced(function, args)
        return
    call.is_shielded = True
    call.interruptible = False
    try:
        lock = call.lock
        if lock is not None:
            with lock:
                pass  # an injection under way has been made when the lock is free
            _take_injected()
        _untraced(function, args)
    finally:
        call.interruptible = True
        call.is_shielded = False
    _raise_deferred(call)
    if call.cancel_requested and call.raised < MAX_RAISED:
        call.raised += 1
        raise CallInterrupted


def unbroken(call: object | None, function: object, *args: object) -> object:
    """Asks the client amid user code, and gives its answer. A stop ends the waiting (`abandon`); an exception amid it
    could cut a message short, or lose what was just taken from the queue or belongs to a call that is nested here."""
    if call is None or not call.interruptible or get_ident() != call.thread:
        return _untraced(function, args)
    call.interruptible = False
    try:
        lock = call.lock
        if lock is not None:
            with lock:
                pass
            _take_injected()
        result = _untraced(function, args)
    finally:
        call.interruptible = True
    _raise_deferred(call)
    return result


def _raise_deferred(call: object) -> None:
    """Raises what a signal handler of user code has raised meanwhile."""
    if call.deferred is not None:
        error, call.deferred = call.deferred, None
        raise error


def _untraced(function: object, args: tuple) -> object:
    """Calls a function of ours without the trace and profile functions of user code: they may raise anywhere."""
    trace, profile = gettrace(), getprofile()
    if trace is None and profile is None:
        return function(*args)
    settrace(None)
    setprofile(None)
    try:
        return function(*args)
    finally:
        setprofile(profile)
        settrace(trace)


def _take_injected() -> None:
    """An asynchronous exception is raised when a function is entered, if not before."""
