"""What ties the server process to its owner: the bootstrap line, the lifeline, and the descriptors.

The owner writes one line to stdin and then keeps stdin open for as long as it lives. When it dies, in whatever way,
the pipe hangs up, and the kernel itself ends the whole process group, even while C code holds the GIL: `O_ASYNC` on
the pipe, owned by the group, with SIGKILL as its signal, which user code can neither handle nor block. Where the kernel has no such service for pipes, a thread that waits for
the end of stdin does it.
"""

from __future__ import annotations

import os
import sys

# A bootstrap line is well below this; beyond it something else is talking to us.
_MAX_LINE = 1024 * 1024
# Above the numbers that user code is likely to close or reuse by hand.
_LIFELINE_FD = 200


def read_bootstrap_line() -> bytes:
    """The first line of stdin, read without buffering anything after it."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(0, 65536)
        if not chunk:
            break
        line += chunk
        if len(line) > _MAX_LINE:
            raise ValueError("Cannot read the bootstrap line: it is longer than 1 MiB")
    return line


def take_lifeline() -> int:
    """Moves stdin to a private descriptor and puts /dev/null in its place, so that `input()` finds its end."""
    lifeline = _high_copy(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return lifeline


def _high_copy(fd: int) -> int:
    try:
        import fcntl
    except ImportError:  # Windows
        return os.dup(fd)
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LIFELINE_FD)


def arm_lifeline(lifeline: int, on_end: object) -> None:
    """From here on the end of the lifeline ends this process and, where it leads one, its group."""
    import _thread

    _arm_kernel_signal(lifeline)
    _thread.start_new_thread(_watch, (lifeline, on_end))


def _arm_kernel_signal(lifeline: int) -> None:
    # Never signal a group that is not our own: it would be the owner's.
    if not hasattr(os, "getpgrp") or os.getpgrp() != os.getpid():
        return
    import fcntl

    if not hasattr(os, "O_ASYNC") and sys.platform != "linux":
        return
    import signal

    o_async = getattr(os, "O_ASYNC", 0o20000)
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpid())
    set_signal = getattr(fcntl, "F_SETSIG", None)
    if set_signal is not None:
        try:
            fcntl.fcntl(lifeline, set_signal, int(signal.SIGKILL))
        except OSError:
            pass  # a kernel without it sends SIGIO, which ends what does not handle it
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | o_async)
    # The owner may have died before the signal was armed.
    import select

    poll = select.poll()
    poll.register(lifeline, select.POLLHUP)
    if any(event & select.POLLHUP for _, event in poll.poll(0)):
        os.killpg(os.getpid(), signal.SIGKILL)


def _watch(lifeline: int, on_end: object) -> None:
    try:
        while os.read(lifeline, 4096):
            pass  # nothing is said here after the bootstrap line; only the end counts
    except OSError:
        # User code closed the descriptor: without a lifeline the server could outlive its owner.
        pass
    on_end()


def set_switch_interval() -> None:
    """A shorter GIL switch interval cuts a waiting thread's delay beside a pure-Python loop from 5 to about 1 ms."""
    if sys.getswitchinterval() == 0.005:
        sys.setswitchinterval(0.001)
