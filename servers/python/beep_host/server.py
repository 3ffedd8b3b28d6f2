"""The server program: reads its bootstrap line, listens, says that it is ready, and serves until it is told to end."""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock, start_new_thread
from time import monotonic

from beep_host import bell, execution, interrupts, threads
from beep_host.admission import Admissions, RefusedTokens
from beep_host.clients import Client
from beep_host.clr_finder import StandInFinder
from beep_host.errors import ArgumentError, CallCancelled, HostError, StaleHandle
from beep_host.evaluation import give_sources_to_linecache
from beep_host.event_loop import EventLoop
from beep_host.handshake import new_secret
from beep_host.limits import Limits
from beep_host.main_thread import MainThread
from beep_host.nesting import nesting
from beep_host.pool import CallPool
from beep_host.protocol import PROTOCOL_VERSION, SERVER_VERSION


class Server:
    """The state that all wires share."""

    def __init__(self, bootstrap: dict) -> None:
        self.token: str = bootstrap.get("token") or ""
        self.auth: bool = bootstrap.get("auth", True)
        if self.auth and len(self.token) < 32:
            raise ArgumentError("Cannot start server: its token must be a string of at least 32 characters")
        self.limits = Limits(bootstrap.get("limits"))
        nesting.limit(self.limits.max_depth)
        self.admissions = Admissions(self.limits.max_connections, self.limits.max_unauthenticated)
        self.refused_tokens = RefusedTokens()
        self.main_thread = MainThread()
        self.event_loop = EventLoop()
        self.pool = CallPool(self.limits.max_threads)
        self.is_closing = False
        self.on_close: list = []
        # Whether the threads of sessions wait on sockets: see `grpc_server.py`.
        self.rings_sessions = False
        # What the ready line says beside the address.
        self.ready_facts: dict = {}
        # How a forked child lets go of descriptors; see `forking.py`.
        self.on_fork: list = [self.admissions.close_all, bell.close_in_child]
        self._clients: dict[str, Client] = {}
        self._default: Client | None = None
        self._lock = allocate_lock()
        self._calls_answered = 0

    # Clients

    def open_client(self, kind: type[Client] = Client) -> Client:
        """A new client with a session that nobody can guess."""
        client = kind(self, new_secret(16))
        with self._lock:
            self._clients[client.session_id] = client
        return client

    def find_client(self, session_id: str) -> Client:
        """The client of a session."""
        client = self._clients.get(session_id)
        if client is None:
            raise StaleHandle("Cannot find session: it has ended, or belongs to another server")
        return client

    @property
    def default_client(self) -> Client:
        """The one whose session is shared by all requests that name none."""
        with self._lock:
            if self._default is None:
                self._default = Client(self, "default")
            return self._default

    @property
    def clients(self) -> list:
        """Those that are open now, without the default one."""
        with self._lock:
            return list(self._clients.values())

    @property
    def all_clients(self) -> list:
        """Those that are open now and the default one. Takes no lock, for the child of a fork, where it may be held."""
        return [*self._clients.values(), *([self._default] if self._default is not None else [])]

    def forget(self, client: Client) -> None:
        """Told by a client that it has ended."""
        with self._lock:
            self._clients.pop(client.session_id, None)

    def end_idle_clients(self) -> None:
        """Ends, for as long as the server lives, clients over HTTP that made no request for `sessionIdleMs`. They have
        no connection whose end would tell that they are gone. A thread of its own."""
        idle_s = self.limits.session_idle_ms / 1000
        # A lock that is never free: waiting for it is a wait that the end of the server need not break (daemon).
        forever = allocate_lock()
        forever.acquire()
        while True:
            now = monotonic()
            oldest = now
            for client in self.clients:
                if client.running:
                    client.touch()
                elif now - client.touched >= idle_s:
                    client.close()
                else:
                    oldest = min(oldest, client.touched)
            forever.acquire(timeout=max(oldest + idle_s - now, 0.05))

    def welcome(self, client: Client) -> dict:
        """What a client is told when it is let in."""
        return {"session": client.session_id, **server_info()}

    # Calls

    def run_session(self, session: object, loop: object) -> None:
        """Gives a session its thread: the main one if it is free, else one of its own."""

        def job(state: execution.ThreadState) -> None:
            try:
                session.context.run(loop, state)
            finally:
                session.ended()

        def run_here_or_there() -> None:
            if not self.main_thread.claim_patiently(job, session):
                job(execution.ThreadState(False))

        if not self.main_thread.claim(job, session):
            threads.ServerThread("beep-session", run_here_or_there).start()

    def cancel_in_background(self, target: execution.Call, request: execution.Call | None) -> None:
        """Stops a call on a thread of its own, and answers the request that asked for it. Without one the call's session
        ends, and with it the waiting for a call that does not."""

        def run() -> None:
            outcome = interrupts.cancel(target, self.limits.interrupt_grace_ms / 1000)
            if request is not None:
                request.finish(outcome)
            elif outcome == "running":
                target.give_up(CallCancelled("The call was given up: its session ended, and it did not stop in time"))

        start_new_thread(run, ())

    def stats(self) -> dict:
        """Counters, for people who look after servers."""
        import threading

        from beep_host.memory import resident_bytes

        clients = self.all_clients
        sessions = [session for client in clients for session in (client.session, *client.labelled.values())]
        return {
            "clients": len(clients),
            "running": sum(len(client.running) for client in clients),
            "handles": sum(len(session.handles) for session in sessions),
            "threads": threading.active_count(),
            "refusedTokens": self.refused_tokens.count,
            "memoryBytes": resident_bytes(),
        }

    # The end

    def close(self) -> None:
        """Begins the end, from any thread: no new connections, running calls are interrupted, then the main thread
        leaves `serve`. What does not end within the grace time is ended by `os._exit`."""
        if self.is_closing:
            return
        self.is_closing = True
        start_new_thread(self._exit_after_grace, ())
        start_new_thread(self._close, ())

    def _close(self) -> None:
        for action in self.on_close:
            action()
        self.admissions.drop_all()
        for client in self.all_clients:
            client.close()
        self.main_thread.stop()

    def _exit_after_grace(self) -> None:
        from time import sleep

        sleep(self.limits.interrupt_grace_ms / 1000)  # a deadline, not a signal: nothing can tell of what hangs
        _flush_output()
        os._exit(1)

    def on_terminate(self, signum: int, frame: object) -> None:
        """The handler of SIGTERM."""
        self.close()

    def on_descriptor_lost(self, error: OSError) -> None:
        """A socket is gone though nobody of us closed it: user code closed descriptors. Nobody can be served any more,
        and to linger would be to hold what the owner believes to have ended."""
        try:
            os.write(2, f"beep_host: user code closed the server's descriptors ({error}): the server ends\n".encode())
        except OSError:
            pass  # stderr was closed with the rest; the exit code says it
        os._exit(70)

    def renew_locks(self) -> None:
        """For the child of a fork: threads that it does not have may hold them."""
        self._lock = allocate_lock()
        self.main_thread.renew_lock()
        self.admissions.renew_lock()
        for client in self.all_clients:
            client.renew_locks()


def server_info() -> dict:
    """What a server says about itself."""
    version = sys.version_info
    suffix = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(version.releaselevel)
    return {
        "protocol": PROTOCOL_VERSION,
        "serverVersion": SERVER_VERSION,
        "pythonVersion": f"{version.major}.{version.minor}.{version.micro}"
        + (f"{suffix}{version.serial}" if suffix else ""),
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "pid": os.getpid(),
        "features": ["interrupt"] if interrupts.interrupt_signal is not None else [],
    }


def main() -> None:
    """Called by `__main__.py`."""
    # threading takes the thread that imports it first for the main one, so it must be this one.
    import threading  # noqa: F401

    from beep_host import output, process, signals
    from beep_host.forking import ForkGuard
    from beep_host.json_text import loads

    line = process.read_bootstrap_line()
    bootstrap = loads(line)
    lifeline = process.take_lifeline()
    ready = _ReadyLine(bootstrap["nonce"])
    try:
        _prepare_path(bootstrap)
        server = Server(bootstrap)
        process.arm_lifeline(lifeline, server.close)
        _take_signals(server)
        signals.install()
        threads.install()
        ForkGuard(server, lifeline).install()
        process.set_switch_interval()
        output.install()
        address = _listen(server, bootstrap)
    except HostError as error:
        ready.fail(error.payload())
    except OSError as error:
        from errno import EADDRINUSE

        code = "address-in-use" if error.errno == EADDRINUSE else "server-start"
        ready.fail({"code": code, "message": f"Cannot listen: {error}"})
    else:
        ready.say({"address": address, **server.ready_facts, **server_info()})
        server.main_thread.serve()
        _leave()


class _ReadyLine:
    """The one line of ours on stdout."""

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce

    def say(self, facts: dict) -> None:
        from beep_host.replies import dumps

        data = b"beep-host-ready %b %b\n" % (self._nonce.encode(), dumps(facts))
        while data:
            data = data[os.write(1, data) :]

    def fail(self, error: dict) -> None:
        self.say({"error": error})
        _flush_output()
        os._exit(3)


def _prepare_path(bootstrap: dict) -> None:
    # The server's own directory stays last, so that it shadows nothing; the user's folders come first.
    own = sys.path.pop(0)
    sys.path[:0] = [path for path in bootstrap.get("modulePaths") or () if path not in sys.path]
    sys.path.append(own)
    sys.argv = [""]
    give_sources_to_linecache()
    sys.meta_path.append(StandInFinder())
    # The path of a file, never the token: children of this process are to find the host too.
    if "hostApi" in bootstrap:
        os.environ["BEEP_HOST_API"] = bootstrap["hostApi"]
    else:
        os.environ.pop("BEEP_HOST_API", None)


def _listen(server: Server, bootstrap: dict) -> str:
    transport = bootstrap.get("transport")
    if transport == "pipe":
        from beep_host import pipe

        paths = [path for path in (bootstrap["path"], bootstrap.get("alsoAt")) if path]
        for path in paths:
            pipe.start(server, path)
        return paths[0]
    if transport == "http":
        from beep_host.http_server import from_bootstrap

        http = from_bootstrap(server, bootstrap)
        server.on_close.append(http.close)
        server.on_fork.append(http.close_in_child)
        http.start()
        start_new_thread(server.end_idle_clients, ())
        return http.address
    if transport == "rpc":
        from beep_host import rpc_server

        return rpc_server.listen(server, bootstrap)
    raise ArgumentError(f"Cannot start server: transport {transport!r} is unknown")


def _take_signals(server: Server) -> None:
    import signal

    interrupts.install_interrupt_signal()
    signal.signal(signal.SIGTERM, server.on_terminate)
    # A terminal's Ctrl-C is the owner's business; the server leads its own group and does not get it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave() -> None:
    """Ends the process in order: exit handlers, user threads, flushes. The grace deadline stands behind it."""
    _flush_output()
    sys.exit(0)


def _flush_output() -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # closed or replaced by user code: there is nothing left to lose
