"""Iterators towards the client, and the client's own, without a wire."""

from __future__ import annotations

import asyncio
import gc
import unittest

from beep_host.host_iterators import HostIterator
from beep_host.iteration import AsyncIteration, Iteration, begin


def numbers(n: int, log: list, fail_at: int | None = None) -> object:
    try:
        for i in range(n):
            if i == fail_at:
                raise ValueError(i)
            yield i
    finally:
        log.append("closed")


async def later(n: int, log: list) -> object:
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield i
    finally:
        log.append("closed")


class IterationTest(unittest.TestCase):
    def test_takes_as_many_as_are_asked_for_and_then_the_rest(self) -> None:
        log: list = []
        iteration = begin(numbers(5, log))
        self.assertEqual(iteration.take(2), [False, 0, 1])
        self.assertEqual(iteration.take(10), [True, 2, 3, 4])
        self.assertEqual(iteration.take(10), [True])
        self.assertEqual(log, ["closed"])

    def test_an_exception_comes_after_the_items_before_it(self) -> None:
        iteration = begin(numbers(5, [], fail_at=2))
        self.assertEqual(iteration.take(10), [False, 0, 1])
        with self.assertRaises(ValueError):
            iteration.take(10)
        self.assertEqual(iteration.take(10), [True])

    def test_close_ends_a_generator_and_leaves_other_objects_open(self) -> None:
        log: list = []
        iteration = begin(numbers(5, log))
        iteration.take(1)
        iteration.close()
        self.assertEqual(log, ["closed"])

        class File:
            closed = False

            def __iter__(self) -> File:
                return self

            def __next__(self) -> int:
                return 1

            def close(self) -> None:
                self.closed = True

        file = File()
        iteration = begin(file)
        iteration.take(1)
        iteration.close()
        self.assertFalse(file.closed)

    def test_an_object_that_is_both_is_iterated_synchronously(self) -> None:
        self.assertIs(type(begin(HostIterator(None, None))), Iteration)

    def test_an_asynchronous_one_is_closed_by_close_and_by_collection(self) -> None:
        log: list = []

        async def main() -> None:
            iteration = begin(later(100, log))
            self.assertIs(type(iteration), AsyncIteration)
            self.assertEqual(await iteration.take(2), [False, 0, 1])
            await iteration.close()
            self.assertEqual(log, ["closed"])
            iteration = begin(later(100, log))
            await iteration.take(1)
            del iteration
            gc.collect()
            for _ in range(10):
                await asyncio.sleep(0)
            self.assertEqual(log, ["closed", "closed"])

        asyncio.run(main())

    def test_a_batch_that_its_time_has_ended_leaves_the_rest_unread(self) -> None:
        made: list = []

        async def slow() -> object:
            for i in range(1000):
                made.append(i)
                yield i
                await asyncio.sleep(0.01)

        async def main() -> None:
            iteration = begin(slow())
            batch = await iteration.take(500)
            self.assertEqual(batch, [False, *range(len(batch) - 1)])
            await asyncio.sleep(0.1)
            # One more was on its way.
            self.assertLessEqual(len(made), len(batch))
            after = await iteration.take(1)
            self.assertEqual(after, [False, len(batch) - 1])
            await iteration.close()

        asyncio.run(main())


class HostIteratorTest(unittest.TestCase):
    def test_asks_for_growing_batches_and_lets_go_at_the_end(self) -> None:
        asked: list = []
        items = iter(range(10))

        def take(most: int) -> list:
            asked.append(most)
            batch = [item for _, item in zip(range(most), items)]
            return [len(batch) < most, *batch]

        iterator = HostIterator(take, None)
        self.assertEqual(list(iterator), list(range(10)))
        self.assertEqual(asked, [1, 2, 4, 8])
        self.assertEqual(list(iterator), [])

    def test_an_error_ends_it(self) -> None:
        def take(most: int) -> list:
            raise KeyError(most)

        iterator = HostIterator(take, None)
        with self.assertRaises(KeyError):
            next(iterator)
        with self.assertRaises(StopIteration):
            next(iterator)


if __name__ == "__main__":
    unittest.main()
