"""The payloads of the JSON commands: their keys, the arguments that they make, and handles among those."""

from __future__ import annotations

from beep_host.errors import ArgumentError

HANDLE_PREFIX = "handle_"


class Payload:
    """The keys of a request; null means absent."""

    def __init__(self, command: str, payload: dict) -> None:
        self._command = command
        self._payload = payload

    def get(self, key: str, kind: type, default: object = None) -> object:
        """The value of a key, of one kind; the default when there is none."""
        value = self._payload.get(key)
        if value is None:
            return default
        if type(value) is not kind:
            raise self._wrong(key, f"it must be {_KINDS[kind]}")
        return value

    def text(self, key: str) -> str:
        """A string that must be there."""
        value = self.get(key, str)
        if value is None:
            raise self._wrong(key, "it is missing")
        return value

    def value(self, key: str) -> object:
        """Whatever is there."""
        return self._payload.get(key)

    def handle(self, key: str) -> int:
        """The number of a handle that must be there."""
        text = self.text(key)
        number = _handle_number(text)
        if number is None:
            raise self._wrong(key, f'it must be a handle such as "handle_7", not "{text:.80}"')
        return number

    def _wrong(self, key: str, what: str) -> ArgumentError:
        return ArgumentError(f'Cannot run command "{self._command}" with key "{key}": {what}')


_KINDS = {str: "a string", list: "an array", dict: "an object"}


def _handle_number(text: object) -> int | None:
    if type(text) is not str or not text.startswith(HANDLE_PREFIX):
        return None
    digits = text[len(HANDLE_PREFIX) :]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 18 else None


def _reference(value: dict) -> int | None:
    """The handle that an argument names by the form in which results name one."""
    return _handle_number(value.get("handleId")) if value.get("isHandle") is True else None


def has_handle(value: object) -> bool:
    """Whether results that became handles are among the arguments."""
    if type(value) is list:
        return any(has_handle(item) for item in value)
    if type(value) is dict:
        return _reference(value) is not None or any(has_handle(item) for item in value.values())
    return False


def tagged(value: object) -> object:
    """Plain JSON with handles in it, as JSON with tags."""
    if type(value) is list:
        return [tagged(item) for item in value]
    if type(value) is not dict:
        return value
    number = _reference(value)
    if number is not None:
        return {"$": ["handle", number]}
    if "$" in value:
        return {"$": ["dict", [[key, tagged(item)] for key, item in value.items()]]}
    return {key: tagged(item) for key, item in value.items()}


def create_arguments(payload: Payload) -> list:
    """Of `create`."""
    owner = (
        payload.text("moduleName")
        if payload.value("moduleHandleId") is None
        else payload.handle("moduleHandleId")
    )
    return [owner, payload.text("className"), payload.get("args", list, []), payload.get("kwargs", dict, {})]


def call_arguments(payload: Payload) -> list:
    """Of `call`."""
    return [
        payload.handle("handleId"),
        payload.text("methodName"),
        payload.get("args", list, []),
        payload.get("kwargs", dict, {}),
    ]


def evaluate_arguments(payload: Payload) -> list:
    """Of `eval`."""
    return [payload.text("expression"), payload.get("locals", dict, {})]
