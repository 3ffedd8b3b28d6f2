"""`RuntimeManager`: finds, installs and removes Pythons, by asking the host."""

from __future__ import annotations

from beep_host.infrastructure.api import NULL, ask, quoted, work
from beep_host.infrastructure.records import Runtime, runtime_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

    from beep_host.infrastructure.api import OnProgress


class RuntimeManager:
    """The Pythons of the host's machine. Objects of this class hold nothing."""

    def list(self) -> List[Runtime]:
        """Every usable Python, in order of preference."""
        return [runtime_from(one) for one in ask("GET", "/runtimes")["runtimes"]]

    def available(self) -> List[str]:
        """The versions that can be installed on this machine, newest first."""
        return [one["version"] for one in ask("GET", "/runtimes/available")["runtimes"]]

    def find(self, request: str = ">=3.9") -> Runtime:
        """The first Python that meets a request: a version, conditions, or a path.

        Raises:
            RuntimeNotFoundError: when none does; its `candidates` tell why.
        """
        return runtime_from(ask("POST", "/runtimes/find", {"request": request}))

    def ensure(
        self, request: str = ">=3.9", *, download: Optional[str] = None, on_progress: OnProgress = None
    ) -> Runtime:
        """The first Python that meets a request, or one that is downloaded for it (`download="never"` forbids it)."""
        return runtime_from(
            work("POST", "/runtimes/ensure", {"request": request, "download": download}, on_progress)
        )

    def install(self, request: str, *, on_progress: OnProgress = None) -> Runtime:
        """Installs the newest Python that meets a request, unless it is there already.

        Raises:
            DownloadFailedError: when its archive cannot be had, or is not what was asked for.
        """
        return runtime_from(work("POST", "/runtimes/install", {"request": request}, on_progress))

    def delete(self, id: str) -> bool:
        """Removes a Python that the host's library has installed."""
        return ask("DELETE", f"/runtimes/{quoted(id)}")["deleted"]

    def get_default(self) -> Runtime:
        """The Python that is taken when none is asked for."""
        return self.find(ask("GET", "/runtimes/default")["request"])

    def set_default(self, request: Optional[str]) -> None:
        """Sets the Python that is taken when none is asked for; None unsets it."""
        ask("PUT", "/runtimes/default", {"request": NULL if request is None else request})
