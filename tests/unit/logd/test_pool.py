"""The pool's threads: results and failures come back, on the loop's thread, and nothing is lost at the end."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from logd.pool import BlockingPool, run_side_by_side


def test_results_and_failures_come_back() -> None:
    async def main() -> None:
        pool = BlockingPool(asyncio.get_running_loop())
        assert await pool.run(lambda: 7) == 7
        assert await pool.run(threading.current_thread) is not threading.current_thread()
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 // 0)
        pool.close()

    asyncio.run(main())


def test_what_is_done_is_told_on_the_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        pool = BlockingPool(loop)
        told: list[tuple[bool, Future[int]]] = []
        both = asyncio.Event()

        def done(finished: Future[int]) -> None:
            told.append((threading.current_thread() is threading.main_thread(), finished))
            if len(told) == 2:
                both.set()

        pool.submit(lambda: 1, done)
        pool.submit(lambda: 1 // 0, done)
        await asyncio.wait_for(both.wait(), 10)
        assert all(on_loop for on_loop, _ in told)
        failed = [finished for _, finished in told if finished.exception()]
        assert isinstance(failed[0].exception(), ZeroDivisionError) and len(failed) == 1
        pool.close()

    asyncio.run(main())


def test_closing_waits_for_everything_handed_over() -> None:
    async def main() -> None:
        pool = BlockingPool(asyncio.get_running_loop())
        gate = threading.Event()
        finished: list[int] = []

        def work(number: int) -> None:
            assert gate.wait(10)
            finished.append(number)

        for number in range(20):
            pool.submit(lambda number=number: work(number), lambda _: None)  # type: ignore[misc]
        threading.Timer(0.02, gate.set).start()
        pool.close()
        assert sorted(finished) == list(range(20))

    asyncio.run(main())


def test_a_loop_that_is_gone_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    pool = BlockingPool(loop)
    gate = threading.Event()
    told: list[object] = []
    pool.submit(lambda: gate.wait(10), told.append)
    loop.close()
    gate.set()
    pool.close()
    assert not told and not caplog.records


def test_what_runs_side_by_side_is_told_in_the_order_given() -> None:
    together = threading.Barrier(2)

    def meet() -> None:
        together.wait(10)

    def fail() -> None:
        raise OSError

    outcomes = run_side_by_side([meet, fail, meet])  # each `meet` waits for the other
    assert [type(outcome) for outcome in outcomes] == [type(None), OSError, type(None)]
    assert run_side_by_side([]) == []
