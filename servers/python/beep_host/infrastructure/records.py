"""What the host tells, as named tuples: they print well, compare, and travel to a client as what they are."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional


class Package(NamedTuple):
    """An installed package."""

    name: str
    version: str
    url: Optional[str] = None


class Environment(NamedTuple):
    """A venv of the host. `state` is "ready", or "broken" when its next use makes it anew; `path`, `python` and
    `version` are None unless it is ready."""

    name: str
    path: Optional[str]
    python: Optional[str]
    version: Optional[str]
    state: str
    problem: Optional[str]
    requirements: List[str]
    packages: Optional[List[Package]]


class Runtime(NamedTuple):
    """An installed Python."""

    id: str
    executable: str
    version: str
    implementation: str
    free_threaded: bool
    source: str
    managed: bool


class RunResult(NamedTuple):
    """How a script ended, and the last part of what it printed."""

    code: int
    signal: Optional[str]
    stdout: str
    stderr: str
    timed_out: bool

    @property
    def ok(self) -> bool:
        """Whether it ended with code 0."""
        return self.code == 0


class Server(NamedTuple):
    """A server of the host that runs. A client of the same user connects to `endpoint` and needs no token."""

    id: str
    environment: Optional[str]
    transport: str
    endpoint: str
    pid: int
    python_version: str
    owner: str


class ProgressEvent(NamedTuple):
    """How far a long operation is. `stage` is a word such as "download" or "install"."""

    stage: str
    subject: str
    done: Optional[float] = None
    total: Optional[float] = None
    unit: str = "bytes"
    bytes_per_second: Optional[float] = None
    message: Optional[str] = None


def package_from(answer: Dict[str, object]) -> Package:
    """A package as the host's API tells it."""
    return Package(answer["name"], answer["version"], answer.get("url"))


def environment_from(answer: dict) -> Environment:
    """An environment as the host's API tells it."""
    packages = answer["packages"]
    return Environment(
        name=answer["name"],
        path=answer["path"],
        python=answer["python"],
        version=answer["version"],
        state=answer["state"],
        problem=answer["problem"],
        requirements=answer["requirements"],
        packages=None if packages is None else [package_from(one) for one in packages],
    )


def runtime_from(answer: dict) -> Runtime:
    """A runtime as the host's API tells it."""
    return Runtime(
        id=answer["id"],
        executable=answer["executable"],
        version=answer["version"],
        implementation=answer["implementation"],
        free_threaded=answer["freeThreaded"],
        source=answer["source"],
        managed=answer["managed"],
    )


def server_from(answer: dict) -> Server:
    """A server as the host's API tells it."""
    return Server(
        id=answer["id"],
        environment=answer["environment"],
        transport=answer["transport"],
        endpoint=answer["endpoint"],
        pid=answer["pid"],
        python_version=answer["pythonVersion"],
        owner=answer["owner"],
    )


def progress_from(answer: dict) -> ProgressEvent:
    """A report of progress as the host's API tells it."""
    return ProgressEvent(
        stage=answer["stage"],
        subject=answer["subject"],
        done=answer.get("done"),
        total=answer.get("total"),
        unit=answer.get("unit", "bytes"),
        bytes_per_second=answer.get("bytesPerSecond"),
        message=answer.get("message"),
    )
