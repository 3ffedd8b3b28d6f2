"""What `import clr` gives where Python.NET is absent: enough to run the code of the original's users as it stands.

    import clr
    clr.AddReference('Beep.Python.Runtime')
    from Beep.Python.RuntimeEngine.Infrastructure import VenvManager

The classes behind it (`clr_classes.py`) ask the host. Any other assembly is refused: it takes a real .NET.
"""

from __future__ import annotations

from importlib.machinery import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

ASSEMBLIES = ("Beep.Python.Runtime", "Beep.Python.RuntimeEngine", "Beep.Python.Model")
_NAMESPACE = "Beep.Python.RuntimeEngine.Infrastructure"
_PARENTS = ("Beep", "Beep.Python", "Beep.Python.RuntimeEngine")


def find_spec(name: str, *, is_ours: bool) -> ModuleSpec | None:
    """The spec of `clr`, or of one of the namespaces when the loaded `clr` is this one."""
    if name == "clr":
        return ModuleSpec(name, _ClrLoader(), origin="beep_host's stand-in for Python.NET")
    if not is_ours:
        return None
    if name == _NAMESPACE:
        return ModuleSpec(name, _NamespaceLoader())
    if name in _PARENTS:
        return ModuleSpec(name, _NamespaceLoader(), is_package=True)
    return None


class _ClrLoader:
    def create_module(self, spec: ModuleSpec) -> None:
        """An ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Fills it."""
        module.__doc__ = __doc__
        module.__beep_stand_in__ = True
        module.AddReference = module.AddReferenceByName = add_reference
        module.__getattr__ = _missing


class _NamespaceLoader:
    def create_module(self, spec: ModuleSpec) -> None:
        """An ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Puts the classes into the one namespace that has any."""
        if module.__name__ != _NAMESPACE:
            return
        from beep_host import clr_classes

        module.__all__ = list(clr_classes.__all__)
        for name in clr_classes.__all__:
            setattr(module, name, getattr(clr_classes, name))


class AssemblyReference:
    """What `clr.AddReference` gives."""

    def __init__(self, name: str) -> None:
        self.FullName = name

    def __str__(self) -> str:
        return self.FullName

    def __repr__(self) -> str:
        return f"<stand-in for assembly {self.FullName}>"


def add_reference(name: str) -> AssemblyReference:
    """Accepts the original's own assemblies and refuses every other."""
    plain = str(name).strip()
    known = plain.replace("\\", "/").rpartition("/")[2]
    if known.lower().endswith(".dll"):
        known = known[: -len(".dll")]
    known = known.partition(",")[0]
    if known in ASSEMBLIES:
        return AssemblyReference(known)
    raise FileNotFoundError(
        f"Cannot load assembly {plain!r}: Python.NET is not installed here, and the stand-in for it has only "
        f"{', '.join(ASSEMBLIES)}. Start the server with the option `dotnet: {{ assemblies: [...] }}` for a real one."
    )


def _missing(name: str) -> object:
    raise AttributeError(
        f"module 'clr' has no attribute {name!r}: it is a stand-in, since Python.NET is not installed here"
    )
