"""A cancel and the reading of its call, which come on two lanes: whatever step of one the other comes at, the call does
not run."""

from __future__ import annotations

import sys
import unittest

from beep_host import clients, execution, pipe, rpc_service, rpc_sessions
from beep_host.clients import Client
from beep_host.errors import CallCancelled
from beep_host.execution import Call
from beep_host.pipe import SessionLane
from beep_host.rpc_sessions import RpcClient

_OURS = tuple(module.__file__ for module in (clients, execution, pipe, rpc_service, rpc_sessions))


class Recorder:
    """Takes the replies of calls."""

    def __init__(self) -> None:
        self.outcomes: dict[int, object] = {}

    def finish(self, call: Call, value: object) -> None:
        self.outcomes[call.id] = value

    def fail(self, call: Call, error: BaseException) -> None:
        self.outcomes[call.id] = error.code


class FakeServer:
    """What a client needs of a server, without one."""

    class limits:
        max_handles = max_sessions = max_frame_bytes = 1_000_000
        max_in_flight = 4

    def forget(self, client: object) -> None:
        pass


def between(step: int, first: object, second: object) -> tuple[object, bool]:
    """Runs `first`, and `second` before its line of this number; gives what `first` returns, and whether there was such
    a line."""
    lines = 0

    def trace(frame: object, event: str, _: object) -> object:
        nonlocal lines
        if frame.f_code.co_filename not in _OURS:
            return None
        if event == "line":
            lines += 1
            if lines == step:
                sys.settrace(None)
                second()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = first()
    finally:
        sys.settrace(before)
    return result, lines >= step


class Cancels(unittest.TestCase):
    def setUp(self) -> None:
        self.recorder = Recorder()

    def make(self) -> tuple[Client, SessionLane]:
        client = Client(FakeServer(), "test")
        self.addCleanup(client.session.ended)
        lane = SessionLane.__new__(SessionLane)
        lane.client = client
        lane.reply = self.recorder
        self.recorder.outcomes.clear()
        return client, lane

    def cancel(self, client: Client, call_id: int, target: int) -> None:
        client.start(Call(call_id, "cancel", [target], [], {}, self.recorder))

    def check(self, step: int, call: Call | None) -> None:
        outcomes = self.recorder.outcomes
        self.assertEqual(outcomes.get(9), "queued", f"step {step}: {outcomes}")
        if call is None:
            self.assertEqual(outcomes.get(7), "cancelled", f"step {step}: {outcomes}")
        else:
            self.assertTrue(call.cancel_requested, f"step {step}: the call would run, {outcomes}")

    def test_a_cancel_may_come_at_any_step_of_the_reading(self) -> None:
        is_inside, step = True, 0
        while is_inside:
            step += 1
            client, lane = self.make()
            call, is_inside = between(
                step, lambda: lane.read_call((b'[7,"evaluate",["1"]]', [])), lambda: self.cancel(client, 9, 7)
            )
            if is_inside:
                self.check(step, call)
        self.assertGreater(step, 10)

    def test_a_call_may_be_read_at_any_step_of_its_cancel(self) -> None:
        is_inside, step = True, 0
        while is_inside:
            step += 1
            client, lane = self.make()
            calls: list = []
            _, is_inside = between(
                step,
                lambda: self.cancel(client, 9, 7),
                lambda: calls.append(lane.read_call((b'[7,"evaluate",["1"]]', []))),
            )
            if is_inside:
                self.check(step, calls[0])
        self.assertGreater(step, 10)

    def test_over_rpc_a_call_may_come_at_any_step_of_its_cancel(self) -> None:
        is_inside, step = True, 0
        while is_inside:
            step += 1
            client = RpcClient(FakeServer(), "test")
            self.addCleanup(client.session.ended)
            self.recorder.outcomes.clear()
            admitted: list = []

            def admit(client: Client = client, admitted: list = admitted) -> None:
                call = Call(7, "evaluate", ["1"], [], {}, self.recorder)
                call.client = client
                try:
                    client.admit(call)
                    admitted.append(call)
                except CallCancelled as error:
                    call.fail(error)
                    admitted.append(None)

            def cancel(client: Client = client) -> None:
                rpc_service._cancel(client, Call(9, "cancel", [7], [], {}, self.recorder))

            _, is_inside = between(step, cancel, admit)
            if is_inside:
                self.check(step, admitted[0])
        self.assertGreater(step, 5)

    def test_cancels_that_come_too_late_do_not_add_up(self) -> None:
        client, lane = self.make()
        # Of calls on the other lane that have ended: their numbers are above all that were read on this one.
        for number in range(10, 50, 2):
            self.cancel(client, number + 1, number)
            self.assertEqual(self.recorder.outcomes[number + 1], "queued")
            call = lane.read_call((b'[%d,"evaluate",["1"]]' % (number + 1), []))
            client.running.pop(call.id)
        self.assertLessEqual(len(client.cancelled), 1)


if __name__ == "__main__":
    unittest.main()
