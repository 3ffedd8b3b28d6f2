"""The stream of several calls over RPC ends after the last of them, whichever thread that is on."""

from __future__ import annotations

import threading
import unittest

from beep_host.rpc_run import RunSink


class Answer:
    """Notes what is sent, and keeps the first who sends from it until the other one has ended the stream."""

    def __init__(self) -> None:
        self.sent: list = []
        self.ended = threading.Event()
        self.first_is_here = threading.Event()

    @property
    def offer(self) -> object:
        """Taken just before it is called: here the thread that is not the last one stops for a moment."""
        self.first_is_here.set()
        self.ended.wait(0.2)
        return lambda message, may_drop: self.sent.append(message["native"]["json"])

    def send_last(self, message: dict) -> None:
        """The last message, and the end."""
        self.sent.append("end")
        self.ended.set()


class RunSinkTest(unittest.TestCase):
    def test_no_reply_is_overtaken_by_the_end(self) -> None:
        answer = Answer()
        sink = RunSink(answer, 2)
        first = threading.Thread(target=sink.reply, args=("first", ()))
        first.start()
        self.assertTrue(answer.first_is_here.wait(30))
        sink.reply("second", ())
        first.join(30)
        self.assertEqual(answer.sent, ["first", "end"])
