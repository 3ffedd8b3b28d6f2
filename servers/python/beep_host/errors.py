"""The server's own errors, and exceptions as data. Twin of `errors.ts`.

A hostile exception (raising `__str__`, a chain of a thousand causes, a class that lies) gets a guarded, bounded
description: describing raises nothing but an interrupt of the call and never takes unbounded time of our own.
"""

from __future__ import annotations

import builtins
import os

PACKAGE_DIRECTORY = os.path.dirname(__file__) + os.sep

# Bounds of a description. A traceback longer than this shows its two ends, as Python does for recursion.
MAX_MESSAGE = 64 * 1024
MAX_REPR = 4 * 1024
MAX_FRAMES = 100
MAX_CHAIN = 16
MAX_GROUP = 64
MAX_NAME = 1024
# Of a whole description: chains and groups multiply.
MAX_EXCEPTIONS = 64
MAX_CHARACTERS = 256 * 1024


class HostError(Exception):
    """An error of the server itself; `code` is the word of `PythonHostErrorCode`."""

    code = "protocol"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def payload(self) -> dict:
        """The error as it travels."""
        payload = {"code": self.code, "message": self.message}
        if self.hint is not None:
            payload["hint"] = self.hint
        return payload


class ProtocolError(HostError):
    """The client broke the protocol."""

    code = "protocol"


class VersionError(HostError):
    """The client speaks another version of the protocol."""

    code = "version"


class AuthenticationError(HostError):
    """The client did not prove that it knows the token."""

    code = "authentication"


class LimitError(HostError):
    """A stated limit was passed; the message names it."""

    code = "limit"


class ArgumentError(HostError):
    """A value that is not allowed was passed."""

    code = "argument"


class StaleHandle(HostError):
    """A handle or session that does not exist (any more)."""

    code = "stale-handle"


class ConversionError(HostError):
    """A value has no faithful image on the other side."""

    code = "conversion"

    def __init__(self, message: str, path: str = "$", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path

    def payload(self) -> dict:
        return {**super().payload(), "path": self.path}


class CallCancelled(HostError):
    """The call was cancelled before or while it ran."""

    code = "cancelled"


class CallInterrupted(BaseException):
    """Raised inside user code to stop it. Not an `Exception`, so that `except Exception` lets it pass, and not a
    `KeyboardInterrupt`, on which `subprocess` waits a quarter of a second."""


class JavaScriptError(Exception):
    """A function of the client threw. `name` and `message` are the JavaScript error's, `stack` its stack."""

    def __init__(self, name: str, message: str, stack: str = "", error_id: int | None = None) -> None:
        super().__init__(f"{name}: {message}" if name else message)
        self.name = name
        self.message = message
        self.stack = stack
        # The client's number of the error, by which it finds the very object again.
        self._error_id = error_id
        if stack:
            self.__notes__ = [f"JavaScript stack:\n{stack}"]


# The name under which user code may import it.
JavaScriptError.__module__ = "beep_host"


class ClientGoneError(ConnectionError):
    """The client whose function was called is not connected any more."""


ClientGoneError.__module__ = "beep_host"


def error_payload(error: BaseException) -> dict:
    """Any error as it travels: one of ours by its code, everything else as a Python exception."""
    if issubclass(type(error), HostError):
        return error.payload()
    if issubclass(type(error), CallInterrupted):
        return {"code": "cancelled", "message": "The call was interrupted"}
    exception = _described_ahead.get(id(error)) or describe(error)
    return {"code": "python", "message": f"{exception['type']}: {exception['message']}", "exception": exception}


_described_ahead: dict[int, dict] = {}


def describe_ahead(error: BaseException) -> None:
    """Describes an exception now, where what its texts take can be stopped, for `error_payload` later."""
    _described_ahead[id(error)] = describe(error)


def forget(error: BaseException) -> None:
    """Lets the description go: `error_payload` was called, or never will be."""
    _described_ahead.pop(id(error), None)


def describe(error: BaseException) -> dict:
    """A Python exception as data (`PythonExceptionInfo` in `errors.ts`)."""
    described = _describe(error, 0, _Room())
    described["traceback"] = _format(described)
    return described


class _Room:
    """What is left of the bounds of one description."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.exceptions = MAX_EXCEPTIONS
        self.characters = MAX_CHARACTERS

    def takes(self, error: BaseException | None) -> bool:
        """Whether an exception is to be described too: it is one, it was not yet, and there is room."""
        return error is not None and id(error) not in self.seen and self.exceptions > 0

    def text(self, text: str, limit: int) -> str:
        """The text, cut to its own limit and to what is left."""
        limit = min(limit, max(self.characters, MAX_NAME))
        self.characters -= min(len(text), limit)
        return _cut(text, limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def guarded_repr(value: object, limit: int = MAX_REPR) -> str:
    """`repr(value)`, or words that say why there is none; never raises, bounded."""
    try:
        text = repr(value)
        text = text if type(text) is str else str.__str__(text)
    except CallInterrupted:
        raise
    except BaseException as failure:
        return f"<{_type_name(type(value))} whose repr raised {_type_name(type(failure))}>"
    return _cut(text, limit)


def _guarded_str(error: BaseException) -> str:
    try:
        return str(error)
    except CallInterrupted:
        raise
    except BaseException as failure:
        return f"<exception whose str() raised {_type_name(type(failure))}>"


def _type_name(kind: type, attribute: str = "__qualname__") -> str:
    # type's own descriptors, so that a metaclass cannot answer in their place.
    try:
        name = type.__dict__[attribute].__get__(kind)
    except BaseException:
        name = type.__dict__["__name__"].__get__(kind)
    return _cut(name, MAX_NAME) if type(name) is str else "?"


def _module_name(kind: type) -> str:
    name = _type_name(kind, "__module__")
    return "builtins" if name == "?" else name


# In what follows no isinstance: it asks the object for its `__class__`, which a hostile one answers.


def _describe(error: BaseException, depth: int, room: _Room) -> dict:
    room.seen.add(id(error))
    room.exceptions -= 1
    kind = type(error)
    bases = type.__dict__["__mro__"].__get__(kind)[:MAX_GROUP]
    described = {
        "type": _type_name(kind),
        "module": _module_name(kind),
        "bases": [f"{_module_name(base)}.{_type_name(base)}" for base in bases],
        "message": room.text(_guarded_str(error), MAX_MESSAGE),
        "arguments": [_plain_or_repr(argument, room) for argument in BaseException.args.__get__(error)[:MAX_GROUP]],
        "frames": _frames(BaseException.__traceback__.__get__(error)),
        "notes": [room.text(note, MAX_REPR) for note in _notes(error)],
        "traceback": "",
    }
    if kind is JavaScriptError and type(error.__dict__.get("_error_id")) is int:
        described["javascript"] = error.__dict__["_error_id"]
    if issubclass(type(error), SyntaxError):
        syntax = _syntax(error)
        if syntax is not None:
            described["syntax"] = syntax
    if depth < MAX_CHAIN:
        cause = BaseException.__cause__.__get__(error)
        context = BaseException.__context__.__get__(error)
        if cause is not None:
            if room.takes(cause):
                described["cause"] = _describe(cause, depth + 1, room)
        elif (
            room.takes(context)
            and not BaseException.__suppress_context__.__get__(error)
            and not issubclass(type(context), CallInterrupted)
        ):
            described["context"] = _describe(context, depth + 1, room)
        members = _group_members(error)
        if members:
            described["exceptions"] = [_describe(member, depth + 1, room) for member in members if room.takes(member)]
    return described


def _group_members(error: BaseException) -> tuple:
    group = getattr(builtins, "BaseExceptionGroup", None)
    if group is None or not issubclass(type(error), group):
        return ()
    return group.exceptions.__get__(error)


def _plain_or_repr(value: object, room: _Room) -> object:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str and len(value) <= MAX_REPR:
        return room.text(value, MAX_REPR)
    if kind is int and -(2**53) < value < 2**53:
        return value
    if kind is float and value - value == 0:  # finite
        return value
    return room.text(guarded_repr(value), MAX_REPR)


def _notes(error: BaseException) -> list[str]:
    try:
        notes = BaseException.__dict__["__dict__"].__get__(error).get("__notes__") or ()
        return [note if type(note) is str else guarded_repr(note) for note in list(notes)[:MAX_GROUP]]
    except CallInterrupted:
        raise
    except BaseException:
        # Notes are the user's own attribute and may be anything; without them the description still stands.
        return []


def _syntax(error: SyntaxError) -> dict | None:
    line, column, text = error.lineno, error.offset, error.text
    if type(line) is not int:
        return None
    return {
        "line": line,
        "column": column if type(column) is int else 1,
        "text": _cut(text.rstrip("\n"), MAX_REPR) if type(text) is str else "",
    }


def _frames(tb: object) -> list[dict]:
    frames = []
    while tb is not None:
        frame = tb.tb_frame
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE_DIRECTORY):
            frames.append((code, tb.tb_lineno, frame))
        tb = tb.tb_next
    if len(frames) > MAX_FRAMES:
        half = MAX_FRAMES // 2
        frames = frames[:half] + frames[-half:]
    return [_frame(code, line, frame) for code, line, frame in frames]


def _frame(code: object, line: int | None, frame: object) -> dict:
    described = {
        "file": _cut(code.co_filename, MAX_NAME),
        "line": line or 0,
        "name": _cut(getattr(code, "co_qualname", code.co_name), MAX_NAME),
    }
    try:
        import linecache

        source = linecache.getline(code.co_filename, line or 0, frame.f_globals).strip()
    except CallInterrupted:
        raise
    except BaseException:
        # Sources come from files and loaders that user code may have replaced; a frame stands without its line.
        source = ""
    if source:
        described["source"] = source[:MAX_REPR]
    return described


def _format(described: dict) -> str:
    """The text that Python would print, from the description, so that its bounds hold here too."""
    inner = described.get("cause") or described.get("context")
    lines: list[str] = []
    if inner is not None:
        lines.append(_format(inner))
        lines.append(
            "\nThe above exception was the direct cause of the following exception:\n"
            if "cause" in described
            else "\nDuring handling of the above exception, another exception occurred:\n"
        )
    if described["frames"]:
        lines.append("Traceback (most recent call last):")
        for frame in described["frames"]:
            lines.append(f'  File "{frame["file"]}", line {frame["line"]}, in {frame["name"]}')
            if "source" in frame:
                lines.append(f"    {frame['source']}")
    syntax = described.get("syntax")
    if syntax is not None and syntax["text"]:
        text = syntax["text"].lstrip()
        caret = min(max(syntax["column"] - 1 - (len(syntax["text"]) - len(text)), 0), len(text))
        lines.append(f"  line {syntax['line']}")
        lines.append(f"    {text}")
        lines.append(f"    {' ' * caret}^")
    module = described["module"]
    name = described["type"] if module in ("builtins", "__main__") else f"{module}.{described['type']}"
    lines.append(f"{name}: {described['message']}" if described["message"] else name)
    lines.extend(described["notes"])
    for number, member in enumerate(described.get("exceptions", ()), 1):
        lines.append(f"  +- {number} {'-' * 16}")
        lines.extend(f"  | {line}" for line in _format(member).split("\n"))
    return "\n".join(lines)
