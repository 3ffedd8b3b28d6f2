"""What the original's classes give, and how their methods fail."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

from beep_host.infrastructure import (
    Environment,
    HostGoneError,
    HostUnavailableError,
    InfrastructureError,
    NotGrantedError,
    Runtime,
)


class ProviderPackageInfo(NamedTuple):
    """A package that a provider wants. `Status` is "Installed", "NotInstalled" or "VersionMismatch"."""

    Name: str
    VersionConstraint: str
    Status: str
    InstalledVersion: Optional[str]
    ErrorMessage: Optional[str] = None


class PythonVirtualEnvironment(NamedTuple):
    """An environment."""

    ID: str
    Name: str
    Path: Optional[str]
    PythonExecutable: Optional[str]
    PythonVersion: Optional[str]

    @classmethod
    def of(cls, environment: Environment) -> PythonVirtualEnvironment:
        """The original's image of an environment."""
        return cls(environment.name, environment.name, environment.path, environment.python, environment.version)


class PythonRuntimeInfo(NamedTuple):
    """A runtime."""

    Id: str
    Name: str
    Path: str
    Version: str
    IsManaged: bool
    Status: str = "Ready"

    @classmethod
    def of(cls, runtime: Runtime) -> PythonRuntimeInfo:
        """The original's image of a runtime."""
        return cls(runtime.id, runtime.id, runtime.executable, runtime.version, runtime.managed)


def attempt(owner: object, otherwise: object, action: Callable, explain: Optional[Callable] = None) -> object:
    """Does an operation; one that fails gives what the original gives then, and is told by a warning."""
    owner.LastError = None
    try:
        return action()
    except (HostGoneError, HostUnavailableError, NotGrantedError):
        raise
    except (InfrastructureError, OSError) as error:
        import warnings

        owner.LastError = error
        warnings.warn(f"{type(error).__name__}: {error}", RuntimeWarning, stacklevel=3)
        return otherwise if explain is None else explain(error)


def version_meets(version: str, constraint: str) -> bool:
    """Whether a version meets a constraint such as `>=1.2,<2`; by numbers, as far as there are numbers."""
    return all(_meets_one(version, one.strip()) for one in constraint.split(",") if one.strip() not in ("", "*"))


def _meets_one(version: str, constraint: str) -> bool:
    operator = next((one for one in ("===", "==", ">=", "<=", "!=", "~=", ">", "<") if constraint.startswith(one)), "==")
    wanted = constraint[len(operator) :] if constraint.startswith(operator) else constraint
    prefix = wanted.strip().endswith(".*")
    left, right = _numbers(version), _numbers(wanted.strip().rstrip("*").rstrip("."))
    if prefix or operator == "~=":
        same = left[: len(right) - (operator == "~=")] == right[: len(right) - (operator == "~=")]
        if operator == "~=":
            return same and left >= right
        return same if operator != "!=" else not same
    length = max(len(left), len(right))
    left, right = left + [0] * (length - len(left)), right + [0] * (length - len(right))
    return {
        "===": left == right,
        "==": left == right,
        "!=": left != right,
        ">=": left >= right,
        "<=": left <= right,
        ">": left > right,
        "<": left < right,
    }[operator]


def _numbers(text: str) -> list:
    import re

    return [int(one) for one in re.match(r"[\d.]*", text.strip()).group().split(".") if one]
