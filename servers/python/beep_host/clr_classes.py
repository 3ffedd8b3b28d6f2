"""The original's `VenvManager` and `VirtualEnvManager` under their own names, on the host's environments.

They answer as the original's do: a path or None, True or False. What an operation failed of is told by a
`RuntimeWarning` and kept in `LastError`; that there is no host, or that it does not allow the operation, is raised.
"""

from __future__ import annotations

import os

from beep_host.clr_results import ProviderPackageInfo, PythonVirtualEnvironment, attempt, version_meets
from beep_host.clr_runtimes import PythonRuntimeManager
from beep_host.infrastructure import Environment, RunResult, ServerManager
from beep_host.infrastructure import VenvManager as Environments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

__all__ = ["PythonRuntimeManager", "VenvManager", "VirtualEnvManager"]

_BACKENDS = ("rocm", "cuda", "vulkan", "cpu")


class VenvManager:
    """Environments of providers and engines."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """What the original's constructors take (loggers, paths) has no meaning here."""
        self.LastError: Optional[Exception] = None
        self._environments = Environments()

    # Environments: their path, or None

    def EnsureProviderEnvironment(self, provider: str, modelId: Optional[str] = None) -> Optional[str]:
        """The environment of a provider with what computes here in its name; made when it is not there."""
        return attempt(self, None, lambda: self._environments.ensure_provider(provider, modelId).path)

    def EnsureEngineEnvironment(self, engine: str) -> Optional[str]:
        """The environment of an engine; made when it is not there."""
        return attempt(self, None, lambda: self._environments.ensure(engine).path)

    def CreateProviderVirtualEnvironment(self, provider: str, modelId: Optional[str] = None) -> Optional[str]:
        """The environment of a provider whose name already says what computes; made when it is not there."""
        return attempt(self, None, lambda: self._environments.ensure(self._exact_name(provider, modelId)).path)

    def DeleteVirtualEnvironment(self, path: str) -> bool:
        """Removes the environment at a path, and ends the servers of this host in it."""

        def delete() -> bool:
            found = self._at(path)
            if found is None:
                return False
            servers = ServerManager()
            for server in servers.list():
                if server.environment == found.name and server.owner == "api":
                    servers.stop(server)
            return self._environments.delete(found.name)

        return attempt(self, False, delete)

    def GetRegisteredEnvironmentPath(self, name: str) -> Optional[str]:
        """The path of an environment by its name."""
        return attempt(self, None, lambda: self._environments.status(name).path)

    def UnregisterEnvironment(self, name: str) -> bool:
        """Removes an environment by its name."""
        return attempt(self, False, lambda: self._environments.delete(name))

    # Packages

    def InstallProviderPackagesInVenv(
        self, provider: str, exe: str, packages: Mapping[str, str], optional: Optional[Iterable[str]] = None
    ) -> bool:
        """Installs packages by name and version constraint; the optional ones may fail."""
        return attempt(self, False, lambda: self._install(exe, provider, packages, set(optional or ())))

    InstallEnginePackagesInVenv = InstallProviderPackagesInVenv

    def VerifyPackagesInstalled(
        self,
        exe: str,
        names: Iterable[str],
        environment: Optional[str] = None,
        optional: Optional[Iterable[str]] = None,
    ) -> bool:
        """Whether all packages but the optional ones are installed."""

        def verify() -> bool:
            found = self._of(exe, environment)
            installed = self._installed(found.name)
            return all(_normal(name) in installed for name in names if name not in set(optional or ()))

        return attempt(self, False, verify)

    def GetProviderPackages(self, provider: str, modelId: Optional[str] = None) -> Optional[Dict[str, str]]:
        """Name and version of what is installed for a provider; None when it has no environment."""

        def packages() -> Dict[str, str]:
            found = self._of_provider(provider, modelId)
            return {one.name: one.version for one in self._environments.packages(found)}

        return attempt(self, None, packages)

    GetTrackedPackages = GetProviderPackages

    def GetProviderPackageStatus(
        self, provider: str, packages: Optional[Mapping[str, str]] = None
    ) -> Dict[str, ProviderPackageInfo]:
        """For each package that is wanted (without any: that is installed) whether it is there, in which version."""

        def status() -> Dict[str, ProviderPackageInfo]:
            installed = self._installed(self._of_provider(provider, None))
            wanted = packages if packages is not None else dict.fromkeys(installed, "")
            result = {}
            for name, constraint in wanted.items():
                version = installed.get(_normal(name))
                state = "NotInstalled"
                if version is not None:
                    state = "Installed" if version_meets(version, constraint or "") else "VersionMismatch"
                result[name] = ProviderPackageInfo(name, constraint or "", state, version)
            return result

        return attempt(self, {}, status)

    def IsPackageTracked(self, provider: str, name: str) -> bool:
        """Whether a package is installed for a provider."""
        return _normal(name) in attempt(self, {}, lambda: self._installed(self._of_provider(provider, None)))

    # Running

    def RunPipCommand(self, exe: str, args: Any) -> bool:
        """Runs pip for an interpreter. In an environment of the host, installing is the host's own operation."""
        words = args.split() if isinstance(args, str) else [str(one) for one in args]
        return attempt(self, False, lambda: self._pip(exe, words))

    def RunScriptInVenv(
        self, exe: str, script: str, args: Any = "", progress: Optional[Callable] = None
    ) -> Tuple[bool, str, str]:
        """Runs a script by an interpreter; gives whether it ended with 0, and its two outputs."""
        words = args.split() if isinstance(args, str) else [str(one) for one in args or ()]
        told = None if progress is None else lambda event: progress(event.message or "")

        def run() -> Tuple[bool, str, str]:
            found = self._at(exe)
            if found is None:
                done = _run_here(exe, ["-u", "-I", script, *words])
            else:
                done = self._environments.run(found.name, script, args=words, on_progress=told)
            return done.code == 0, done.stdout, done.stderr

        return attempt(self, (False, "", ""), run, lambda error: (False, "", str(error)))

    # Names

    def ComputeProviderVenvName(self, provider: str, modelId: Optional[str] = None) -> str:
        """The name of the environment of a provider whose name already says what computes."""
        return self._exact_name(provider, modelId)

    def SlugifyModelId(self, modelId: str) -> str:
        """Every character but letters, digits, `-` and `_` becomes `-`."""
        return "".join(one if one.isalpha() or one.isdecimal() or one in "-_" else "-" for one in modelId)

    def DetectGPUBackend(self) -> str:
        """What computes on this machine: "rocm", "cuda", "vulkan" or "cpu"."""
        return self._environments.compute_backend()

    def DetermineBackendFromProviderName(self, provider: str) -> Optional[str]:
        """What a provider's name says that computes."""
        return next((one for one in _BACKENDS if provider.lower().endswith(f"-{one}")), None)

    def AppendBackendSuffix(self, provider: str, backend: Optional[str] = None) -> str:
        """The provider's name with what computes, unless it has it or needs none."""
        if self.DetermineBackendFromProviderName(provider) is not None or provider.lower() == "embeddings":
            return provider
        return f"{provider}-{backend or self.DetectGPUBackend()}"

    # What the methods share

    def _exact_name(self, provider: str, model_id: Optional[str]) -> str:
        backend = self.DetermineBackendFromProviderName(provider)
        if backend is None and "-rocm" not in provider:
            return provider
        return self._environments.provider_name(provider, model_id)

    def _of_provider(self, provider: str, model_id: Optional[str]) -> str:
        names = {one.name for one in self._environments.list()}
        exact = self._exact_name(provider, model_id)
        return exact if exact in names else self._environments.provider_name(provider, model_id)

    def _at(self, path: str) -> Optional[Environment]:
        """The environment that a path is or lies in; also of one that was superseded by a change."""
        given = os.path.normcase(os.path.abspath(path))
        for one in self._environments.list():
            if one.path is None:
                continue
            family = os.path.normcase(os.path.dirname(one.path)) + os.sep
            if given.startswith(family):
                return one
        return None

    def _of(self, exe: str, name: Optional[str]) -> Environment:
        found = self._at(exe) if exe else None
        return found if found is not None else self._environments.status(name or exe)

    def _installed(self, name: str) -> Dict[str, str]:
        return {_normal(one.name): one.version for one in self._environments.packages(name)}

    def _install(self, exe: str, provider: str, packages: Mapping[str, str], optional: set) -> bool:
        name = self._of(exe, self._of_provider(provider, None)).name
        needed = [f"{key}{_constraint(value)}" for key, value in packages.items() if key not in optional]
        if needed:
            self._environments.install(name, needed)
        for key in packages:
            if key in optional:
                wanted = f"{key}{_constraint(packages[key])}"
                attempt(self, None, lambda wanted=wanted: self._environments.install(name, [wanted]))
        return True

    def _pip(self, exe: str, words: List[str]) -> bool:
        found = self._at(exe)
        if found is not None and words[:1] == ["install"] and not any(one.startswith("-") for one in words):
            self._environments.install(found.name, words[1:])
            return True
        if found is not None and words[:1] == ["uninstall"]:
            self._environments.uninstall(found.name, [one for one in words[1:] if not one.startswith("-")])
            return True
        return _run_here(exe, ["-I", "-m", "pip", *words]).code == 0


class VirtualEnvManager:
    """The original's list of environments with methods around it."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """What the original's constructors take has no meaning here."""
        self.LastError: Optional[Exception] = None
        self._environments = Environments()

    @property
    def ManagedVirtualEnvironments(self) -> List[PythonVirtualEnvironment]:
        """All environments."""
        return [PythonVirtualEnvironment.of(one) for one in self._environments.list()]

    @property
    def IsBusy(self) -> bool:
        """Never: each operation is waited for by who asked for it."""
        return False

    def GetEnvironmentByPath(self, path: str) -> Optional[PythonVirtualEnvironment]:
        """The environment at a path."""
        wanted = os.path.normcase(os.path.abspath(path))
        known = self.ManagedVirtualEnvironments
        return next((one for one in known if one.Path and os.path.normcase(one.Path) == wanted), None)

    def GetEnvironmentById(self, id: str) -> Optional[PythonVirtualEnvironment]:
        """The environment of an id, which is its name."""
        return next((one for one in self.ManagedVirtualEnvironments if one.ID == id), None)

    def CreateProviderEnvironmentAsync(
        self, provider: str, modelId: Optional[str] = None
    ) -> Optional[PythonVirtualEnvironment]:
        """The environment of a provider; made when it is not there."""
        return self.EnsureProviderEnvironmentAsync(provider, modelId)

    def EnsureProviderEnvironmentAsync(
        self, provider: str, modelId: Optional[str] = None
    ) -> Optional[PythonVirtualEnvironment]:
        """The environment of a provider; made when it is not there."""
        made = attempt(self, None, lambda: self._environments.ensure_provider(provider, modelId))
        return None if made is None else PythonVirtualEnvironment.of(made)

    def RemoveEnvironmentAsync(self, id: str) -> bool:
        """Removes an environment by its id, which is its name."""
        return attempt(self, False, lambda: self._environments.delete(id))


def _run_here(exe: str, args: List[str]) -> RunResult:
    import subprocess

    done = subprocess.run([exe, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    return RunResult(done.returncode, None, done.stdout, done.stderr, False)


def _normal(name: str) -> str:
    import re

    return re.sub(r"[-_.]+", "-", name).lower()


def _constraint(text: Optional[str]) -> str:
    """A version constraint as pip writes it: a bare version means exactly this one."""
    text = (text or "").strip()
    if not text or text == "*":
        return ""
    return f"=={text}" if text[0].isdigit() else text
