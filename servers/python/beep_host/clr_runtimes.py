"""The original's `PythonRuntimeManager` under its own name, on the host's runtimes."""

from __future__ import annotations

from beep_host.clr_results import PythonRuntimeInfo, attempt
from beep_host.infrastructure import NotFoundError, RuntimeManager, VenvManager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Optional


class PythonRuntimeManager:
    """Pythons of the host's machine."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """What the original's constructors take has no meaning here."""
        self.LastError: Optional[Exception] = None
        self._runtimes = RuntimeManager()

    def Initialize(self) -> bool:
        """Whether there is a Python to use."""
        return attempt(self, False, lambda: self._runtimes.get_default() is not None)

    def GetAvailableRuntimes(self) -> List[PythonRuntimeInfo]:
        """Every usable Python, in order of preference."""
        return [PythonRuntimeInfo.of(one) for one in self._runtimes.list()]

    def GetRuntime(self, id: str) -> Optional[PythonRuntimeInfo]:
        """A Python by its id."""
        return next((one for one in self.GetAvailableRuntimes() if one.Id == id), None)

    def GetDefaultRuntime(self) -> Optional[PythonRuntimeInfo]:
        """The Python that is taken when none is asked for."""
        return attempt(self, None, lambda: PythonRuntimeInfo.of(self._runtimes.get_default()))

    def SetDefaultRuntime(self, id: str) -> bool:
        """Sets it, by its id."""

        def set_default() -> bool:
            self._runtimes.set_default(self._known(id).Path)
            return True

        return attempt(self, False, set_default)

    def CreateManagedRuntime(self, name: str, type: object = None) -> Optional[str]:
        """Installs a Python; `name` may be a version or conditions. Gives its id."""
        request = name if name[:1].isdigit() or name[:1] in "<>=~" else ">=3.9"
        return attempt(self, None, lambda: self._runtimes.install(request).id)

    def InitializeRuntime(self, id: str) -> bool:
        """Whether there is a Python of this id."""
        return attempt(self, False, lambda: self._known(id) is not None)

    def DeleteRuntime(self, id: str) -> bool:
        """Removes a Python that was installed by the host's library."""
        return attempt(self, False, lambda: self._runtimes.delete(id))

    def InstallPackages(self, id: str, packages: Iterable[str]) -> bool:
        """Installs into the environment `runtime-<id>` of a Python: a Python itself is never changed."""

        def install() -> bool:
            runtime = self._known(id)
            name = f"runtime-{''.join(one if one.isalnum() or one in '.-' else '-' for one in id)}"[:64]
            VenvManager().ensure(name, list(packages), python=runtime.Path)
            return True

        return attempt(self, False, install)

    def _known(self, id: str) -> PythonRuntimeInfo:
        found = self.GetRuntime(id)
        if found is None:
            raise NotFoundError(f'Cannot find runtime "{id}": there is none of this id')
        return found
