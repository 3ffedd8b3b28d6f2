"""How much memory this process occupies, as far as the system tells without help from outside."""

from __future__ import annotations

import sys


def resident_bytes() -> int | None:
    """Bytes in memory now; on systems that tell only of the past, the most that it ever was; None where nothing does."""
    try:
        with open("/proc/self/statm", "rb") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return _peak_bytes()
    from os import sysconf

    return pages * sysconf("SC_PAGE_SIZE")


def _peak_bytes() -> int | None:
    try:
        import resource
    except ImportError:
        return _windows_bytes()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # In bytes on macOS, in kibibytes elsewhere.
    return peak if sys.platform == "darwin" else peak * 1024


def _windows_bytes() -> int | None:
    if sys.platform != "win32":
        return None
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = [
            ("size", wintypes.DWORD),
            ("faults", wintypes.DWORD),
            *((name, ctypes.c_size_t) for name in ("peak", "resident", "a", "b", "c", "d", "e", "f")),
        ]

    counters = Counters()
    counters.size = ctypes.sizeof(counters)
    process = ctypes.windll.kernel32.GetCurrentProcess
    process.restype = wintypes.HANDLE
    ask = ctypes.windll.psapi.GetProcessMemoryInfo
    ask.argtypes = [wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD]
    return counters.resident if ask(process(), ctypes.byref(counters), counters.size) else None
