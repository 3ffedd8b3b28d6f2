"""Environments, packages, runtimes and servers, by asking the host.

    from beep_host.infrastructure import VenvManager
    env = VenvManager().ensure("my-provider", packages=["requests"])
    print(env.path)

Works in code that a server of the host runs, on every transport, in its threads and in the children of
`multiprocessing`, and in scripts that the host was asked to give access to. Every class has an asynchronous twin
(`AsyncVenvManager`), every long operation takes `on_progress`, and what fails raises a subclass of
`InfrastructureError`.
"""

from __future__ import annotations

_HOMES = {
    "AsyncPackageInstaller": "asynchronous",
    "AsyncRuntimeManager": "asynchronous",
    "AsyncServerManager": "asynchronous",
    "AsyncVenvManager": "asynchronous",
    "CommandFailedError": "errors",
    "DownloadFailedError": "errors",
    "Environment": "records",
    "EnvironmentExistsError": "errors",
    "EnvironmentInUseError": "errors",
    "EnvironmentNameError": "errors",
    "EnvironmentNotFoundError": "errors",
    "HostGoneError": "errors",
    "HostUnavailableError": "errors",
    "InfrastructureError": "errors",
    "InvalidRequestError": "errors",
    "NotFoundError": "errors",
    "NotGrantedError": "errors",
    "Package": "records",
    "PackageInstaller": "packages",
    "ProgressEvent": "records",
    "RunResult": "records",
    "Runtime": "records",
    "RuntimeManager": "runtimes",
    "RuntimeNotFoundError": "errors",
    "Server": "records",
    "ServerManager": "servers",
    "VenvManager": "venvs",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 -- every name is a string


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list:
    return sorted({*globals(), *__all__})
