"""What asking the host can raise.

    InfrastructureError            code, hint
    ├─ HostUnavailableError        this process has no way to a host
    ├─ HostGoneError               the host ended, or the way to it broke, while an answer was awaited
    ├─ NotGrantedError             the host does not allow this operation here
    ├─ InvalidRequestError         an argument that the host refuses
    ├─ NotFoundError               a runtime or server of this id, or a host function, is not there
    ├─ EnvironmentNotFoundError
    ├─ EnvironmentNameError
    ├─ EnvironmentExistsError
    ├─ EnvironmentInUseError
    ├─ RuntimeNotFoundError        candidates: what was looked at, and why it was refused
    ├─ CommandFailedError          output: the decisive lines of pip, uv or venv; exit_code
    └─ DownloadFailedError         url
"""

from __future__ import annotations

_PUBLIC = "beep_host.infrastructure"


class InfrastructureError(Exception):
    """The host could not do what was asked. `code` is a stable word, `hint` the next step where there is one."""

    __module__ = _PUBLIC
    # What the JSON routes of an HTTP server answer with.
    http_status = 500

    def __init__(self, message: str, *, code: str = "other", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        if hint is not None:
            # Shown below the traceback, by Python from 3.11 on and by the clients of a server.
            self.__notes__ = [f"hint: {hint}"]

    def __reduce__(self) -> tuple:
        # With its attributes, so that it comes whole out of a child of multiprocessing.
        return (_restore, (type(self), self.message, self.__dict__))


def _restore(kind: type, message: str, state: dict) -> InfrastructureError:
    error = kind(message)
    error.__dict__.update(state)
    return error


class HostUnavailableError(InfrastructureError, RuntimeError):
    """This process has no way to a host."""

    __module__ = _PUBLIC
    http_status = 403


class HostGoneError(InfrastructureError, ConnectionError):
    """The host ended, or the way to it broke, while an answer was awaited."""

    __module__ = _PUBLIC
    http_status = 503


class NotGrantedError(InfrastructureError, PermissionError):
    """The host does not allow this operation here."""

    __module__ = _PUBLIC
    http_status = 403


class InvalidRequestError(InfrastructureError, ValueError):
    """An argument that the host refuses."""

    __module__ = _PUBLIC
    http_status = 400


class NotFoundError(InfrastructureError, LookupError):
    """There is nothing of this id or name."""

    __module__ = _PUBLIC
    http_status = 404


class EnvironmentNotFoundError(InfrastructureError, LookupError):
    """There is no environment of this name."""

    __module__ = _PUBLIC
    http_status = 404


class EnvironmentNameError(InfrastructureError, ValueError):
    """An environment cannot have this name."""

    __module__ = _PUBLIC
    http_status = 400


class EnvironmentExistsError(InfrastructureError):
    """There is an environment of this name already."""

    __module__ = _PUBLIC
    http_status = 409


class EnvironmentInUseError(InfrastructureError):
    """The environment cannot be removed while somebody uses it."""

    __module__ = _PUBLIC
    http_status = 409


class RuntimeNotFoundError(InfrastructureError, LookupError):
    """No Python meets the request; `candidates` tells what was looked at, and why it was refused."""

    __module__ = _PUBLIC
    http_status = 404
    candidates: list = []


class CommandFailedError(InfrastructureError):
    """An installer failed; `output` holds its decisive lines."""

    __module__ = _PUBLIC
    http_status = 422
    output: str = ""
    exit_code: int | None = None


class DownloadFailedError(InfrastructureError):
    """A download failed, or gave something else than was asked for."""

    __module__ = _PUBLIC
    http_status = 502
    url: str = ""


_BY_REASON = {
    "missing": EnvironmentNotFoundError,
    "name": EnvironmentNameError,
    "input": InvalidRequestError,
    "exists": EnvironmentExistsError,
    "in-use": EnvironmentInUseError,
}
_BY_CODE = {
    "argument": InvalidRequestError,
    "not-granted": NotGrantedError,
    "authentication": HostUnavailableError,
    "closed": HostGoneError,
    "command": CommandFailedError,
    "python-not-found": RuntimeNotFoundError,
    "download": DownloadFailedError,
    "hash-mismatch": DownloadFailedError,
}


def error_from(answer: dict) -> InfrastructureError:
    """The exception for an error as the host's API tells it."""
    kind = _BY_REASON.get(answer.get("reason"))
    if kind is None and answer.get("type") == "NotFoundError":
        kind = NotFoundError
    if kind is None:
        kind = _BY_CODE.get(answer.get("code"), InfrastructureError)
    error = kind(answer.get("message", ""), code=answer.get("code", "other"), hint=answer.get("hint"))
    for key, field in (("output", "output"), ("exitCode", "exit_code"), ("url", "url"), ("candidates", "candidates")):
        if key in answer:
            setattr(error, field, answer[key])
    return error
