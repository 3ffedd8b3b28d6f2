"""`VenvManager`: makes, finds, changes and removes environments, by asking the host."""

from __future__ import annotations

from beep_host.infrastructure.api import ask, quoted, work
from beep_host.infrastructure.records import (
    Environment,
    Package,
    RunResult,
    environment_from,
    package_from,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Mapping, Optional

    from beep_host.infrastructure.api import OnProgress


class VenvManager:
    """The environments of the host. Objects of this class hold nothing: making one costs nothing.

    An environment never changes in place: a change makes a new one under the same name, so that nothing that runs
    in the old one sees its packages change. Use the `path` and `python` of what a method gives.

    Options that several methods have:

    * `python`: a version (`"3.12"`), conditions (`">=3.10"`) or a path;
    * `packages`: requirements, such as `"numpy>=2"`;
    * `installer`: `"auto"`, `"uv"` or `"pip"`;
    * `index_url`: where packages come from, instead of where pip is set to look;
    * `source_builds`: whether packages may be built from source, which runs code of theirs;
    * `on_progress`: called with a `ProgressEvent`. The same goes to the client of the running call, if it listens.
    """

    def list(self) -> List[Environment]:
        """All environments, without their packages."""
        return [environment_from(one) for one in ask("GET", "/environments")["environments"]]

    def status(self, name: str) -> Environment:
        """What is known of an environment, its packages included.

        Raises:
            EnvironmentNotFoundError: when there is none of this name.
        """
        return environment_from(ask("GET", f"/environments/{quoted(name)}"))

    def exists(self, name: str) -> bool:
        """Whether there is an environment of this name."""
        return any(one.name == name for one in self.list())

    def create(
        self,
        name: str,
        packages: Iterable[str] = (),
        *,
        python: Optional[str] = None,
        constraints: Optional[Iterable[str]] = None,
        lock: Optional[str] = None,
        pip: Optional[bool] = None,
        template: Optional[str] = None,
        installer: Optional[str] = None,
        index_url: Optional[str] = None,
        source_builds: Optional[bool] = None,
        download: Optional[str] = None,
        on_progress: OnProgress = None,
    ) -> Environment:
        """Makes a new environment.

        Raises:
            EnvironmentExistsError: when there is one of this name already.
            EnvironmentNameError: when an environment cannot have this name.
            CommandFailedError: when the installer fails, with its decisive lines.
        """
        body = _specification(packages, python, constraints, lock, pip, template, download)
        body.update(name=name, **_change(installer, index_url, source_builds))
        return environment_from(work("POST", "/environments", body, on_progress))

    def ensure(
        self,
        name: Optional[str] = None,
        packages: Optional[Iterable[str]] = None,
        *,
        python: Optional[str] = None,
        constraints: Optional[Iterable[str]] = None,
        lock: Optional[str] = None,
        pip: Optional[bool] = None,
        template: Optional[str] = None,
        installer: Optional[str] = None,
        index_url: Optional[str] = None,
        source_builds: Optional[bool] = None,
        download: Optional[str] = None,
        on_progress: OnProgress = None,
    ) -> Environment:
        """The environment that this describes: the existing one where there is one, else a new one.

        With nothing but a name it takes the environment of that name as it is. Without a name it is named by its
        content. Two who ensure the same at once get the same: one makes it, the other waits.
        """
        body = _specification(packages, python, constraints, lock, pip, template, download)
        body.update(name=name, **_change(installer, index_url, source_builds))
        return environment_from(work("POST", "/environments/ensure", body, on_progress))

    def ensure_provider(
        self,
        provider: str,
        model_id: Optional[str] = None,
        packages: Optional[Iterable[str]] = None,
        *,
        python: Optional[str] = None,
        compute_backend: Optional[str] = None,
        rocm_strategy: Optional[str] = None,
        installer: Optional[str] = None,
        index_url: Optional[str] = None,
        on_progress: OnProgress = None,
    ) -> Environment:
        """The environment of a provider, and for ROCm of a model: named by the provider with what computes."""
        body = _specification(packages, python, None, None, None, None, None)
        body.update(provider=provider, modelId=model_id, **_change(installer, index_url, None))
        body.update(computeBackend=compute_backend, rocmStrategy=rocm_strategy)
        return environment_from(work("POST", "/providers/ensure", body, on_progress))

    def provider_name(
        self,
        provider: str,
        model_id: Optional[str] = None,
        *,
        compute_backend: Optional[str] = None,
        rocm_strategy: Optional[str] = None,
    ) -> str:
        """The name that `ensure_provider` would use."""
        query = {
            "provider": provider,
            "modelId": model_id,
            "computeBackend": compute_backend,
            "rocmStrategy": rocm_strategy,
        }
        return ask("GET", "/providers/name", query=query)["name"]

    def compute_backend(self) -> str:
        """What computes on this machine: "rocm", "cuda", "vulkan" or "cpu"."""
        return ask("GET", "/providers/name", query={"provider": "any"})["computeBackend"]

    def delete(self, name: str, *, force: bool = False) -> bool:
        """Removes an environment; gives False when there is none.

        Raises:
            EnvironmentInUseError: when somebody uses it, unless `force` is given.
        """
        query = {"force": "true"} if force else None
        return ask("DELETE", f"/environments/{quoted(name)}", query=query)["deleted"]

    def install(
        self,
        name: str,
        packages: Iterable[str],
        *,
        installer: Optional[str] = None,
        index_url: Optional[str] = None,
        source_builds: Optional[bool] = None,
        on_progress: OnProgress = None,
    ) -> Environment:
        """Adds packages; the environment is made when there is none of this name.

        Raises:
            CommandFailedError: when the installer fails, with its decisive lines.
        """
        body = {"packages": _lines(packages), **_change(installer, index_url, source_builds)}
        return environment_from(work("POST", f"/environments/{quoted(name)}/install", body, on_progress))

    def uninstall(
        self,
        name: str,
        packages: Iterable[str],
        *,
        installer: Optional[str] = None,
        on_progress: OnProgress = None,
    ) -> Environment:
        """Removes packages; what they needed stays, as with pip."""
        body = {"packages": _lines(packages), **_change(installer, None, None)}
        return environment_from(work("POST", f"/environments/{quoted(name)}/uninstall", body, on_progress))

    def packages(self, name: str) -> List[Package]:
        """What is installed in an environment."""
        answer = ask("GET", f"/environments/{quoted(name)}")
        return [package_from(one) for one in answer["packages"] or ()]

    def verify(self, name: str, packages: Iterable[str] = ()) -> List[str]:
        """What is wrong with an environment, one line each, and which of the packages are missing."""
        return ask("POST", f"/environments/{quoted(name)}/verify", {"packages": _lines(packages)})["problems"]

    def run(
        self,
        name: str,
        script: Optional[str] = None,
        *,
        module: Optional[str] = None,
        args: Iterable[str] = (),
        cwd: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
        timeout: Optional[float] = None,
        infrastructure: bool = False,
        on_progress: OnProgress = None,
    ) -> RunResult:
        """Runs a script or a module in an environment, to its end. `on_progress` is told each line as its `message`;
        `timeout` is in seconds; `infrastructure` lets it ask the host what this code may ask."""
        body = {
            "script": script,
            "module": module,
            "args": _lines(args),
            "cwd": cwd,
            "env": None if env is None else dict(env),
            "timeoutMs": None if timeout is None else max(int(timeout * 1000), 1),
            "infrastructure": infrastructure or None,
        }
        answer = work("POST", f"/environments/{quoted(name)}/run", body, on_progress)
        return RunResult(
            answer["code"], answer["signal"], answer["stdout"], answer["stderr"], answer["timedOut"]
        )


def _lines(items: Iterable[str]) -> list:
    if isinstance(items, str):
        # A string is an iterable of its letters, which nobody means.
        return [items]
    return list(items)


def _specification(
    packages: Optional[Iterable[str]],
    python: Optional[str],
    constraints: Optional[Iterable[str]],
    lock: Optional[str],
    pip: Optional[bool],
    template: Optional[str],
    download: Optional[str],
) -> dict:
    return {
        "packages": None if packages is None else _lines(packages),
        "python": python,
        "constraints": None if constraints is None else _lines(constraints),
        "lock": lock,
        "pip": pip,
        "template": template,
        "download": download,
    }


def _change(installer: Optional[str], index_url: Optional[str], source_builds: Optional[bool]) -> Any:
    return {
        "installer": installer,
        "index": None if index_url is None else {"indexUrl": index_url},
        "sourceBuilds": source_builds,
    }
