"""Interrupts: the forced races. An interrupt must reach user code of its own call and nothing else.

The races are narrow in real traffic; a switch interval of a microsecond and one canceller per call force them. The
count for each cell is taken from BEEP_RACES (200 unless set; the soak sets 10,000).
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import unittest
from queue import SimpleQueue

from beep_host import interrupts
from beep_host.clients import Client
from beep_host.errors import CallInterrupted, HostError
from beep_host.execution import Call, ThreadState, run_call
from beep_host.interrupts import cancel

RACES = int(os.environ.get("BEEP_RACES", "200"))
# Far more than anything takes: what hangs is to end, what is slow on a busy machine is not.
PATIENCE_SECONDS = 30.0


class Recorder:
    """Takes the replies of calls."""

    def __init__(self) -> None:
        self.outcomes: dict[int, list] = {}

    def finish(self, call: Call, value: object) -> None:
        self.outcomes.setdefault(call.id, []).append(("value", value))

    def fail(self, call: Call, error: BaseException) -> None:
        word = error.code if isinstance(error, HostError) else type(error).__name__
        self.outcomes.setdefault(call.id, []).append((word, str(error)))

    def event(self, call: Call, kind: str, value: object) -> None:
        raise AssertionError(f"no event was expected: {kind}")


class FakeServer:
    """What a client needs of a server, without one."""

    class limits:
        max_handles = max_in_flight = max_sessions = max_frame_bytes = 1_000_000

    def run_session(self, session: object, loop: object) -> None:
        raise AssertionError("the test runs calls itself")

    def cancel_in_background(self, target: Call, request: Call | None) -> None:
        raise AssertionError("the test cancels itself")

    def forget(self, client: object) -> None:
        pass


# A loop whose length follows the cancels, so that on any machine about as many come in time as come too late.
SHORT_CODE = "started.put(1)\ntotal = 0\nfor number in range(length):\n    total += number\ntotal"
ENDLESS_CODE = "while True:\n    pass"


class Races(unittest.TestCase):
    def setUp(self) -> None:
        self.client = Client(FakeServer(), "test")
        self.recorder = Recorder()
        # Told by the code that runs, so that a cancel never comes before it. Written in C: a lock of Python's own
        # classes would be left held by an interrupt inside it.
        self.started = SimpleQueue()
        self.lengths = [400]
        self.client.session.namespace["started"] = self.started
        self.interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)

    def tearDown(self) -> None:
        sys.setswitchinterval(self.interval)
        self.client.session.ended()

    def call(self, number: int, code: str) -> Call:
        call = Call(number, "evaluate", [code], [], {}, self.recorder)
        call.client, call.session = self.client, self.client.session
        self.client.running[number] = call
        return call

    def race(self, state: ThreadState, count: int) -> None:
        """Runs pairs of calls on this thread; another cancels the first of each pair while it runs or just has."""
        escaped: list = []
        calls: list[Call] = []

        def canceller() -> None:
            for index in range(count):
                self.started.get()
                try:
                    cancel(calls[index], PATIENCE_SECONDS)
                except BaseException as error:
                    escaped.append(error)

        thread = threading.Thread(target=canceller, daemon=True)
        thread.start()
        try:
            for number in range(count):
                victim = self.call(2 * number + 1, SHORT_CODE)
                calls.append(victim)
                length = self.client.session.namespace["length"] = self.lengths[-1]
                run_call(victim, state)
                was_late = self.recorder.outcomes[victim.id][0][0] == "value"
                self.lengths.append(min(2 * length, 1 << 24) if was_late else max(length // 2, 1))
                bystander = self.call(2 * number + 2, "40 + 2")
                run_call(bystander, state)
        except BaseException as error:
            escaped.append(error)
        # It is through when this thread is, but for the cancel of a call that has ended; if this one raised, it waits for ever.
        thread.join(PATIENCE_SECONDS if not escaped else 0)
        self.assertEqual(escaped, [])
        self.assertFalse(thread.is_alive(), "the canceller hangs")
        self.check_outcomes(count)

    def check_outcomes(self, count: int) -> None:
        cancelled = 0
        for number in range(count):
            (outcome,) = self.recorder.outcomes[2 * number + 1]
            self.assertIn(outcome[0], ("value", "cancelled"))
            if outcome[0] == "value":
                self.assertEqual(outcome[1], sum(range(self.lengths[number])))
            else:
                cancelled += 1
            self.assertEqual(self.recorder.outcomes[2 * number + 2], [("value", 42)], "a bystander was hit")
        self.assertTrue(0 < cancelled < count, f"{cancelled} of {count} were cancelled: nothing raced")
        print(f"cancelled {cancelled} of {count}", file=sys.stderr)

    def on_main(self) -> ThreadState:
        if threading.current_thread() is not threading.main_thread():
            self.skipTest("this case needs the main thread")
        interrupts.install_interrupt_signal()
        interrupts.main_state = ThreadState(True)
        self.addCleanup(setattr, interrupts, "main_state", None)
        return interrupts.main_state

    def test_main_thread(self) -> None:
        self.race(self.on_main(), RACES)

    def test_other_thread(self) -> None:
        failures: list = []

        def run() -> None:
            try:
                self.race(ThreadState(False), RACES)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        for failure in failures:
            raise failure

    def stop_endless(self, code: str, state: ThreadState) -> None:
        self.assertEqual(self.stop_when_started(f"started.put(1)\n{code}", state, PATIENCE_SECONDS), "stopped")
        self.assertEqual(self.recorder.outcomes[1][0][0], "cancelled")

    def stop_when_started(self, code: str, state: ThreadState, grace_s: float) -> str:
        call = self.call(1, code)
        outcome: list = []
        is_told = self.client.session.namespace["is_told"] = threading.Event()

        def canceller() -> None:
            self.started.get()
            outcome.append(cancel(call, grace_s))
            is_told.set()

        thread = threading.Thread(target=canceller)
        thread.start()
        run_call(call, state)
        thread.join(PATIENCE_SECONDS)
        self.assertEqual(len(outcome), 1, f"the canceller has told nothing of {code!r}")
        return outcome[0]

    def test_what_blocks_the_main_thread_is_stopped(self) -> None:
        blocking = {
            "loop": ENDLESS_CODE,
            "sleep": "import time\ntime.sleep(60)",
            "lock": "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
            "queue": "import queue\nqueue.Queue().get()",
            "event": "import threading\nthreading.Event().wait()",
            "select": "import select\nselect.select([], [], [], 60)",
            "socket": "import socket\na, b = socket.socketpair()\nwith a, b:\n    a.recv(1)",
            "process": "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(5)'])",
            "swallowed once": "import time\ntry:\n    time.sleep(60)\nexcept BaseException:\n    pass\ntime.sleep(60)",
        }
        for name, code in blocking.items():
            with self.subTest(blocked_in=name):
                self.recorder.outcomes.clear()
                self.stop_endless(code, self.on_main())

    def test_loop_on_another_thread_is_stopped(self) -> None:
        thread = threading.Thread(target=lambda: self.stop_endless(ENDLESS_CODE, ThreadState(False)))
        thread.start()
        thread.join(2 * PATIENCE_SECONDS)
        self.assertFalse(thread.is_alive())
        self.assertEqual(self.recorder.outcomes[1][0][0], "cancelled")

    def test_code_that_swallows_everything_is_reported_as_running(self) -> None:
        state = self.on_main()
        # Until who cancels has been told. What interrupts may come between two rounds too, hence two loops.
        code = (
            "import time\n"
            "is_started = False\n"
            "while not is_told.is_set():\n"
            "    try:\n"
            "        while not is_told.is_set():\n"
            "            try:\n"
            "                if not is_started:\n"
            "                    is_started = True\n"
            "                    started.put(1)\n"
            "                time.sleep(0.01)\n"
            "            except BaseException:\n"
            "                pass\n"
            "    except BaseException:\n"
            "        pass\n"
        )
        self.assertEqual(self.stop_when_started(code, state, 0.5), "running")

    def test_cancel_before_running(self) -> None:
        call = self.call(1, "started.put(1)")
        call.cancel_requested = True
        run_call(call, self.on_main())
        self.assertTrue(self.started.empty(), "it ran")
        self.assertEqual(self.recorder.outcomes[1][0][0], "cancelled")

    def test_system_exit_and_its_kind_are_errors_of_the_call(self) -> None:
        state = self.on_main()
        for number, name in enumerate(("SystemExit", "KeyboardInterrupt", "GeneratorExit"), 1):
            run_call(self.call(number, f"raise {name}"), state)
            self.assertEqual(self.recorder.outcomes[number][0][0], name)
        run_call(self.call(9, "1 + 1"), state)
        self.assertEqual(self.recorder.outcomes[9], [("value", 2)])

    def test_a_reply_that_cannot_be_made_is_given_up_by_a_word(self) -> None:
        class Broken(Recorder):
            def finish(self, call: Call, value: object) -> None:
                raise MemoryError

            def fail(self, call: Call, error: BaseException) -> None:
                raise MemoryError

            def give_up(self, call: Call) -> None:
                self.outcomes[call.id] = ["given up"]

        self.recorder = Broken()
        with redirect_lost_replies() as told:
            run_call(self.call(1, "1 + 1"), self.on_main())
        self.assertEqual(self.recorder.outcomes[1], ["given up"])
        self.assertIn("lost the reply of call 1", told.getvalue())


@contextlib.contextmanager
def redirect_lost_replies() -> object:
    """Takes what the server says on its own stderr."""
    real, sys.__stderr__ = sys.__stderr__, io.StringIO()
    try:
        yield sys.__stderr__
    finally:
        sys.__stderr__ = real


class ImportSystemTest(unittest.TestCase):
    def test_no_interrupt_is_raised_where_the_import_system_holds_its_locks(self) -> None:
        from types import SimpleNamespace

        def frame(filename: str) -> object:
            return SimpleNamespace(f_code=SimpleNamespace(co_filename=filename))

        call = SimpleNamespace(interruptible=True, cancel_requested=True, raised=0, deferred=None, injected=False)
        before = interrupts.main_state
        interrupts.main_state = SimpleNamespace(running=call, ident=0, signals=0)
        try:
            for name in ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>"):
                interrupts.on_interrupt_signal(0, frame(name))
            self.assertEqual(call.raised, 0)
            with self.assertRaises(CallInterrupted):
                interrupts.on_interrupt_signal(0, frame("<evaluate 1>"))
        finally:
            interrupts.main_state = before
