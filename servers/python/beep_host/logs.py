"""Records of `logging` for the clients that ask for them.

Not a handler: one on the root logger would make `logging.basicConfig()` do nothing and end the printing of warnings
by the handler of last resort. What every record passes that its logger lets through is `Logger.callHandlers`.
"""

from __future__ import annotations

from beep_host.output import call_that_asked, emit

_is_installed = False


def install() -> None:
    """From now on records go to the clients of calls that asked for them, and where they went before."""
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    import logging

    call_handlers = logging.Logger.callHandlers

    def tell_and_call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        call = call_that_asked("log")
        if call is not None:
            emit(call, "log", _as_data(record))
        call_handlers(self, record)

    tell_and_call_handlers.__wrapped__ = call_handlers
    logging.Logger.callHandlers = tell_and_call_handlers


def _as_data(record: object) -> dict:
    from beep_host.errors import MAX_MESSAGE

    return {
        "level": record.levelno,
        "levelName": str(record.levelname),
        "name": str(record.name),
        "message": _message(record)[:MAX_MESSAGE],
        "time": record.created * 1000,
        "file": str(record.pathname),
        "line": record.lineno if type(record.lineno) is int else 0,
        "function": str(record.funcName),
        "thread": str(record.threadName),
        "traceback": _traceback(record),
    }


def _message(record: object) -> str:
    try:
        return str(record.getMessage())
    except Exception as error:
        # `logging` itself reports it on stderr and goes on; the client gets what there is.
        return f"{record.msg!s} <whose arguments cannot be filled in: {type(error).__name__}: {error}>"


def _traceback(record: object) -> str | None:
    if not record.exc_info or record.exc_info[1] is None:
        return record.exc_text or None
    from beep_host.errors import describe

    return describe(record.exc_info[1])["traceback"]
