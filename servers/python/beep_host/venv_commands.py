"""The venv commands of the original's plan: `/api/venv/create` and its like, `venv_create` on a pipe.

    create   {providerName, modelId?, packages?}   {path, name, success}
    delete   {providerName, modelId?} or {path}    {success}
    install  {providerName, modelId?, packages}    {path, name, success}
    list     {}                                    {environments: [{name, path, python, version, state}], success}

`name` may stand for `providerName` where the exact name of an environment is meant.
"""

from __future__ import annotations

import os

from beep_host.errors import ArgumentError
from beep_host.infrastructure import Environment, VenvManager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional


def perform(action: str, fields: dict) -> dict:
    """Does one of the commands."""
    return _ACTIONS[action](fields)


def _create(fields: dict) -> dict:
    if fields.get("name") is not None:
        return _made(VenvManager().ensure(fields["name"], fields.get("packages")))
    provider = _provider(fields)
    return _made(VenvManager().ensure_provider(provider, fields.get("modelId"), fields.get("packages")))


def _delete(fields: dict) -> dict:
    name = _find(fields)
    return {"success": False if name is None else VenvManager().delete(name)}


def _install(fields: dict) -> dict:
    packages = fields.get("packages")
    if not packages:
        raise ArgumentError('Cannot run command "venv_install" with key "packages": it is missing or empty')
    name = fields.get("name")
    if name is None:
        name = _find(fields) or VenvManager().provider_name(_provider(fields), fields.get("modelId"))
    return _made(VenvManager().install(name, packages))


def _list(fields: dict) -> dict:
    keys = ("name", "path", "python", "version", "state")
    known = VenvManager().list()
    return {"environments": [{key: getattr(one, key) for key in keys} for one in known], "success": True}


def _made(environment: Environment) -> dict:
    return {"path": environment.path, "name": environment.name, "success": True}


def _provider(fields: dict) -> str:
    provider = fields.get("providerName")
    if not provider:
        raise ArgumentError('Cannot run the venv command with key "providerName": it is missing or empty')
    return provider


def _find(fields: dict) -> Optional[str]:
    """The name of the environment that is meant, when it is there."""
    known = VenvManager().list()
    names = {one.name for one in known}
    if fields.get("path") is not None:
        wanted = os.path.normcase(os.path.abspath(fields["path"]))
        return next((one.name for one in known if one.path and os.path.normcase(one.path) == wanted), None)
    exact = fields.get("name") or _provider(fields)
    if exact in names:
        return exact
    if fields.get("name") is not None:
        return None
    name = VenvManager().provider_name(exact, fields.get("modelId"))
    return name if name in names else None


_ACTIONS = {"create": _create, "delete": _delete, "install": _install, "list": _list}
