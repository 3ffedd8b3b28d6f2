"""`ServerManager`: starts and stops servers of the host."""

from __future__ import annotations

from beep_host.infrastructure.api import ask, quoted, work
from beep_host.infrastructure.records import Environment, Server, server_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, List, Mapping, Optional


class ServerManager:
    """The servers of the host that runs this one. Those started here end with the host, or by `stop`."""

    def list(self) -> List[Server]:
        """Those that run."""
        return [server_from(one) for one in ask("GET", "/servers")["servers"]]

    def get(self, id: str) -> Server:
        """One that runs.

        Raises:
            NotFoundError: when there is none of this id.
        """
        return server_from(ask("GET", f"/servers/{quoted(id)}"))

    def start(
        self,
        environment: str | Environment,
        transport: str = "pipe",
        *,
        name: Optional[str] = None,
        port: Optional[int] = None,
        module_paths: Optional[Iterable[str]] = None,
        cwd: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
        infrastructure: bool = True,
    ) -> Server:
        """Starts a server in an environment; a client of the same user can connect to its `endpoint`.

        Raises:
            EnvironmentNotFoundError: when there is no environment of this name.
        """
        body = {
            "environment": environment.name if isinstance(environment, Environment) else environment,
            "transport": transport,
            "name": name,
            "port": port,
            "modulePaths": None if module_paths is None else list(module_paths),
            "cwd": cwd,
            "env": None if env is None else dict(env),
            "infrastructure": infrastructure,
        }
        return server_from(work("POST", "/servers", body))

    def stop(self, id: str | Server) -> None:
        """Ends a server that was started here."""
        ask("DELETE", f"/servers/{quoted(id.id if isinstance(id, Server) else id)}")
