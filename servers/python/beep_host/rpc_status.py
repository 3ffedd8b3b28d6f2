"""What an error is to RPC: a code that both Connect and gRPC know, a sentence, and an `ErrorDetail`."""

from __future__ import annotations

from beep_host.errors import error_payload
from beep_host.http_parser import HttpError
from beep_host.rpc_values import to_message

# Code: (its number in gRPC, its HTTP status in Connect)
CODES = {
    "canceled": (1, 499),
    "unknown": (2, 500),
    "invalid_argument": (3, 400),
    "deadline_exceeded": (4, 504),
    "not_found": (5, 404),
    "permission_denied": (7, 403),
    "resource_exhausted": (8, 429),
    "failed_precondition": (9, 400),
    "unimplemented": (12, 501),
    "internal": (13, 500),
    "unavailable": (14, 503),
    "unauthenticated": (16, 401),
}

# The words of docs/PROTOCOL.md §3.
_CODES_OF_WORDS = {
    "python": "unknown",
    "conversion": "invalid_argument",
    "argument": "invalid_argument",
    "protocol": "invalid_argument",
    "stale-handle": "failed_precondition",
    "version": "failed_precondition",
    "cancelled": "canceled",
    "timeout": "deadline_exceeded",
    "limit": "resource_exhausted",
    "authentication": "unauthenticated",
    "unimplemented": "unimplemented",
    "internal": "internal",
}
# Where HTTP knows better: what clients of Connect take from a status alone.
_CODES_OF_STATUSES = {403: "permission_denied", 404: "unimplemented", 405: "unknown", 415: "unknown", 503: "unavailable"}


class Status:
    """How a call failed."""

    __slots__ = ("code", "detail", "message")

    def __init__(self, code: str, message: str, detail: dict) -> None:
        self.code = code
        self.message = message
        self.detail = detail


def status_of(error: BaseException) -> Status:
    """The status of any error."""
    payload = error_payload(error)
    code = _CODES_OF_WORDS.get(payload["code"], "internal")
    if isinstance(error, HttpError):
        code = _CODES_OF_STATUSES.get(error.status, code)
    return Status(code, payload["message"], detail_of(payload))


def status(word: str, message: str) -> Status:
    """The status of an error that is no exception, by its word."""
    return Status(_CODES_OF_WORDS[word], message, {"code": word, "message": message})


def detail_of(payload: dict) -> dict:
    """An error as `ErrorDetail`."""
    detail = {"code": payload["code"], "message": _text(payload["message"])}
    for name in ("hint", "path"):
        if name in payload:
            detail[name] = _text(payload[name])
    exception = payload.get("exception")
    if exception is not None:
        detail["exception"] = _exception(exception)
    return detail


def _exception(described: dict) -> dict:
    message: dict = {name: _text(described[name]) for name in ("type", "module", "message", "traceback")}
    message["bases"] = [_text(base) for base in described["bases"]]
    message["notes"] = [_text(note) for note in described["notes"]]
    message["arguments"] = [to_message(argument, "value", None) for argument in described["arguments"]]
    message["frames"] = [
        {"file": _text(frame["file"]), "line": frame["line"], "name": _text(frame["name"])}
        | ({"source": _text(frame["source"])} if "source" in frame else {})
        for frame in described["frames"]
    ]
    for name in ("cause", "context"):
        if name in described:
            message[name] = _exception(described[name])
    message["exceptions"] = [_exception(member) for member in described.get("exceptions", ())]
    syntax = described.get("syntax")
    if syntax is not None:
        message["syntax"] = {
            "line": max(syntax["line"], 0),
            "column": max(syntax["column"], 0),
            "text": _text(syntax["text"]),
        }
    return message


def _text(text: str) -> str:
    """What a protobuf string can hold: a lone surrogate in a message for people becomes its escape."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text
