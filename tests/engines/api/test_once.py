"""Made once: in many tasks, in several loops, after failures and cancellations."""

import asyncio
import threading

import pytest

from inspect_lda.engines.api.once import Once


class Maker:
    """Counts how often it is asked; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.calls = 0
        self._failures = failures

    async def __call__(self) -> int:
        """Number of the call."""
        self.calls += 1
        call = self.calls
        await asyncio.sleep(0.02)
        if call <= self._failures:
            raise ValueError(f"failure {call}")
        return call


async def test_many_tasks_share_one() -> None:
    maker = Maker()
    once = Once(maker)
    assert await asyncio.gather(*(once.get() for _ in range(20))) == [1] * 20
    assert await once.get() == 1
    assert once.take() == 1
    assert once.take() is None
    assert await once.get() == 2


def test_loops_share_one() -> None:
    maker = Maker()
    once = Once(maker)
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(asyncio.run(once.get())))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8


async def test_a_failure_is_everyones_and_not_for_ever() -> None:
    once = Once(Maker(failures=1))
    results = await asyncio.gather(
        *(once.get() for _ in range(3)), return_exceptions=True
    )
    assert [str(one) for one in results] == ["failure 1"] * 3
    assert once.take() is None
    assert await once.get() == 2


@pytest.mark.parametrize("cancelled", [0, 1])
async def test_who_is_cancelled_takes_nobody_along(cancelled: int) -> None:
    """The first one makes it, the others wait."""
    once = Once(Maker())
    tasks = [asyncio.create_task(once.get()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[cancelled].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results.pop(cancelled), asyncio.CancelledError)
    assert results == [2 - cancelled] * 2
