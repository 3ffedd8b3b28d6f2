"""What a child of `os.fork()` in user code is: a process that runs the rest of that code and leaves.

Without this it would come back into the loop, a second server on the same connections. So the child lets go of our
descriptors (closing them, which the parent does not notice; a shutdown it would), of our signal handlers and of the
locks that threads which it does not have may hold; and where the parent replies, the child exits.
"""

from __future__ import annotations

import os
import sys
import threading

from beep_host.errors import describe
from beep_host.pool import CallPool


class ForkGuard:
    """Knows what of this server a forked child must let go of."""

    def __init__(self, server: object, lifeline: int) -> None:
        self._server = server
        self._lifeline = lifeline
        self._mask: object | None = None

    def install(self) -> None:
        """Has every forked child let go from now on."""
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before, after_in_parent=self._restore_mask, after_in_child=self._in_child
            )

    def _before(self) -> None:
        # A SIGTERM for the child must not find our handler still there: it would shut down the parent's sockets.
        import _signal

        self._mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM,))

    def _restore_mask(self) -> None:
        import _signal

        if self._mask is not None:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, self._mask)

    def _in_child(self) -> None:
        try:
            self._let_go()
        finally:
            self._restore_mask()

    def _let_go(self) -> None:
        server = self._server
        server.is_closing = True
        self._drop_handlers()
        server.renew_locks()
        for client in server.all_clients:
            client.is_closed = True
            client.invocations.clear()
            for call in list(client.running.values()):
                call.reply = _ChildReply()
                call.options = {}
                call.output = None
                call.lock = call.done = call.stop = None
                call.cancel_requested = False
        server.event_loop = _ChildLoop()
        server.pool = CallPool(0)
        for close in server.on_fork:
            _close_quietly(close)
        _close_quietly(lambda: os.close(self._lifeline))

    def _drop_handlers(self) -> None:
        import _signal

        from beep_host import interrupts

        ours = (interrupts.on_interrupt_signal, self._server.on_terminate)
        for number in (interrupts.interrupt_signal, _signal.SIGTERM):
            if number is not None and _signal.getsignal(number) in ours:
                _signal.signal(number, _signal.SIG_DFL)
        interrupts.interrupt_signal = None


def leave_with_thread() -> None:
    """For a child that has threads beside the one that forked: has it leave when that one ends, as a child with one thread does.
    Those on which our calls run leave by themselves."""
    from beep_host import interrupts
    from beep_host.threads import ServerThread

    forked = threading.current_thread()
    state = interrupts.main_state
    if isinstance(forked, ServerThread) or (state is not None and state.ident == forked.ident):
        return

    def leave() -> None:
        forked.join()
        _leave(0)

    ServerThread("beep-fork", leave).start()


def close_listening(listener: object) -> None:
    """For a child: closes a listening socket, and what it had accepted when the fork came and nobody had counted yet."""
    import _socket
    from stat import S_ISSOCK

    name = _place(listener)
    listener.close()
    default = _socket.getdefaulttimeout()
    # With one that user code has set, looking at a socket would change how it blocks, in the parent too.
    _socket.setdefaulttimeout(None)
    try:
        for entry in os.listdir("/dev/fd"):
            descriptor = int(entry)
            try:
                if not S_ISSOCK(os.fstat(descriptor).st_mode):
                    continue
                sock = _socket.socket(fileno=descriptor)
                is_ours = _place(sock) == name
                sock.detach()
                if is_ours:
                    os.close(descriptor)
            except OSError:
                pass  # that of the list itself, or of a kind that has no name
    finally:
        _socket.setdefaulttimeout(default)


def _place(sock: object) -> object:
    """What a listening socket and those that it accepted have in common: a path or a port."""
    name = sock.getsockname()
    return name[1] if type(name) is tuple and len(name) > 1 else name


def _close_quietly(close: object) -> None:
    try:
        close()
    except OSError:
        pass  # user code closed it before


class _ChildReply:
    """Stands where a call's reply was. The code has come to its end, and with it the child."""

    sink = None

    def event(self, call: object, kind: str, value: object, *_args: object, **_kwargs: object) -> bool:
        """What the child writes goes to the process's own streams; there is nobody to tell the rest."""
        return True

    def finish(self, call: object, value: object) -> None:
        """Leaves."""
        _leave(0)

    def fail(self, call: object, error: BaseException) -> None:
        """Leaves as an interpreter would that ended with this exception."""
        if isinstance(error, SystemExit):
            code = error.code
            if code is None or isinstance(code, int):
                _leave(code or 0)
            print(code, file=sys.stderr)
        else:
            print(describe(error)["traceback"], file=sys.stderr)
        _leave(1)


class _ChildLoop:
    """Stands where the event loop was, whose thread the child does not have."""

    is_current = False

    def run(self, call: object, awaitable: object) -> None:
        """Runs the coroutine here."""
        import asyncio

        async def awaited() -> object:
            return await awaitable

        try:
            call.finish(asyncio.run(awaited()))
        except BaseException as error:
            call.fail(error)


def _leave(code: int) -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # closed or replaced by user code: there is nothing left to lose
    os._exit(code & 0xFF)

