"""A stand-in for the server, as small as the process contract allows: what it does is said by STAND_IN."""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time


def read_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(0)
        line += byte
    return line


def hold_on_to_owner(fd: int) -> None:
    """The kernel ends the whole group when the other end of stdin goes."""
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
    # The owner may be gone already.
    poll = select.poll()
    poll.register(fd, select.POLLHUP)
    if poll.poll(0):
        os._exit(0)


def say(boot: dict, ready: dict) -> None:
    sys.stdout.write("no newline before the line " if "chatty" in mode else "")
    sys.stdout.write("beep-host-ready %s %s\n" % (boot["nonce"], json.dumps(ready)))
    sys.stdout.flush()


mode = os.environ.get("STAND_IN", "")
boot = json.loads(read_line())
hold_on_to_owner(0)
if "die_at_import" in mode:
    raise ImportError("no module named teapot")
if "never_ready" in mode:
    sys.stderr.write("waiting as %d\n" % os.getpid())
    sys.stderr.flush()
    time.sleep(1e9)
if "close_stdout" in mode:
    os.close(1)
    time.sleep(1e9)
if "bad_ready" in mode:
    say(boot, {"address": 7})
    time.sleep(1e9)

if boot["transport"] == "pipe":
    listener = socket.socket(socket.AF_UNIX)
    target = address = boot["path"]
else:
    listener = socket.socket()
    target = (boot["host"], boot["port"])
try:
    listener.bind(target)
except OSError as error:
    say(boot, {"error": {"code": "address-in-use", "message": str(error)}})
    sys.exit(1)
listener.listen()
if boot["transport"] == "http":
    address = "http://%s:%d" % listener.getsockname()

if "children" in mode:
    child = subprocess.Popen(["sleep", "1000"])
    sys.stdout.write("child %d\n" % child.pid)
if "deaf" in mode:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
# A signal that comes just before a wait for signals would be waited for in vain: what it writes here is not.
woken, waker = os.pipe()
os.set_blocking(waker, False)
signal.set_wakeup_fd(waker)
if "boot" in mode:
    shown = {key: value for key, value in boot.items() if key not in ("token", "nonce")}
    sys.stdout.write("boot %s\n" % json.dumps(shown))
    sys.stdout.write("env %s\n" % json.dumps(dict(os.environ)))
sys.stderr.write("stand-in is up\n")
sys.stderr.flush()
say(boot, {"address": address, "pid": os.getpid(), "pythonVersion": sys.version.split()[0]})
if "flood" in mode:
    for _ in range(3000):
        os.write(1, b"x" * 1023 + b"\n")
    os.write(2, b"flooded\n")
if "exit" in mode:
    sys.stderr.write("about to exit\n")
    sys.stderr.flush()
    os._exit(7)
while True:
    os.read(woken, 1)
