"""`PackageInstaller`: the packages of one environment."""

from __future__ import annotations

from beep_host.infrastructure.records import Environment, Package
from beep_host.infrastructure.venvs import VenvManager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

    from beep_host.infrastructure.api import OnProgress


class PackageInstaller:
    """Installs into the environment of a name, and takes out of it."""

    def __init__(self, environment: str | Environment) -> None:
        """Takes the name of an environment, or what `VenvManager` gave for it."""
        self.environment: str = environment.name if isinstance(environment, Environment) else environment

    def install(
        self,
        *packages: str,
        installer: Optional[str] = None,
        index_url: Optional[str] = None,
        source_builds: Optional[bool] = None,
        on_progress: OnProgress = None,
    ) -> Environment:
        """Adds packages, as requirements such as `"numpy>=2"`; the environment is made when there is none.

        Raises:
            CommandFailedError: when the installer fails, with its decisive lines.
        """
        return VenvManager().install(
            self.environment,
            packages,
            installer=installer,
            index_url=index_url,
            source_builds=source_builds,
            on_progress=on_progress,
        )

    def uninstall(
        self, *packages: str, installer: Optional[str] = None, on_progress: OnProgress = None
    ) -> Environment:
        """Removes packages; what they needed stays, as with pip."""
        return VenvManager().uninstall(
            self.environment, packages, installer=installer, on_progress=on_progress
        )

    def list(self) -> List[Package]:
        """What is installed."""
        return VenvManager().packages(self.environment)

    def freeze(self) -> List[str]:
        """What is installed, one exact line each, as `pip freeze` prints it."""
        return [f"{one.name}=={one.version}" if one.url is None else f"{one.name} @ {one.url}" for one in self.list()]

    def verify(self, *packages: str) -> List[str]:
        """What does not fit together, one line each, and which of the packages are missing."""
        return VenvManager().verify(self.environment, packages)
