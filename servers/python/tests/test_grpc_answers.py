"""How a thread of grpcio waits for the answer of its call, without grpcio."""

import threading
import unittest
from unittest.mock import patch

from beep_host import grpc_server
from beep_host.bell import Bell
from beep_host.rpc_status import status


class UnaryAnswers(unittest.TestCase):
    def setUp(self) -> None:
        self.bells = [Bell()]
        self.addCleanup(self.close_bells)
        self.all_bells = list(self.bells)
        patched = patch.object(grpc_server, "_bells", self.bells)
        patched.start()
        self.addCleanup(patched.stop)

    def close_bells(self) -> None:
        for bell in self.all_bells:
            bell.close()

    def test_the_first_end_counts_and_the_bell_is_given_back(self) -> None:
        for _ in range(200):
            answer = grpc_server._UnaryAnswer()
            thread = threading.Thread(target=answer.finish, args=({"a": 1},))
            thread.start()
            answer.wait()
            answer.fail(status("internal", "too late"))
            self.assertEqual((answer.message, answer.failure), ({"a": 1}, None))
            self.assertEqual(self.bells, self.all_bells)
            thread.join()

    def test_more_calls_than_bells(self) -> None:
        answers = [grpc_server._UnaryAnswer() for _ in range(5)]
        threads = [threading.Thread(target=answer.wait) for answer in answers]
        for thread in threads:
            thread.start()
        for answer in reversed(answers):
            answer.finish({})
        for thread in threads:
            thread.join(30)
            self.assertFalse(thread.is_alive())
        self.assertEqual(self.bells, self.all_bells)

    def test_the_waiter_goes_on_while_it_is_rung(self) -> None:
        """It takes the bell away as soon as it sees that the answer is there."""

        class Leaving(grpc_server._UnaryAnswer):
            looks = 0

            @property
            def _bell(self) -> object:
                self.looks += 1
                return bell if self.looks == 1 else None

            @_bell.setter
            def _bell(self, bell: object) -> None:
                pass

        bell = self.all_bells[0]
        answer = Leaving()
        answer.finish({})
        bell.wait()  # returns, since it was rung

    def test_a_bell_that_user_code_has_broken_is_not_used_again(self) -> None:
        class Broken:
            def wait(self) -> None:
                threading.Thread(target=answer.finish, args=({"a": 1},)).start()
                raise OSError("The bell is broken")

            def ring(self) -> None:
                pass

        self.bells[:] = [Broken()]
        answer = grpc_server._UnaryAnswer()
        answer.wait()
        self.assertEqual((answer.message, self.bells), ({"a": 1}, []))


if __name__ == "__main__":
    unittest.main()
