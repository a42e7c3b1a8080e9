"""Two kinds of requests never meet, and nobody waits for ever."""

import asyncio
from itertools import pairwise

import pytest

from inspect_lda.engines.api.wire.turns import Turns, turns_at


class Seen:
    """Who was in flight with whom."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.active: list[str] = []
        self.order: list[str] = []
        self.most = 0

    async def ask(self, kind: str, seconds: float = 0.001) -> None:
        """One request of a kind."""
        async with self.turns.of(kind):
            self.active.append(kind)
            self.order.append(kind)
            assert set(self.active) == {kind}
            self.most = max(self.most, len(self.active))
            await asyncio.sleep(seconds)
            self.active.remove(kind)


async def test_kinds_take_turns_and_each_goes_at_once() -> None:
    seen = Seen()
    await asyncio.gather(*(seen.ask("ab"[i % 2]) for i in range(40)))
    assert (len(seen.order), seen.active) == (40, [])
    # The first goes alone: nobody was there when it came.
    assert seen.most >= 19
    changes = sum(one != two for one, two in pairwise(seen.order))
    assert changes <= 3


async def test_a_kind_that_waits_is_not_overtaken() -> None:
    seen = Seen()

    async def keep_asking() -> None:
        for _ in range(50):
            await seen.ask("a")

    busy = [asyncio.create_task(keep_asking()) for _ in range(3)]
    await asyncio.sleep(0.005)
    await asyncio.wait_for(seen.ask("b"), timeout=1)
    assert not all(task.done() for task in busy)
    await asyncio.gather(*busy)


@pytest.mark.parametrize("while_waiting", [True, False])
async def test_a_cancelled_request_leaves_no_gap(while_waiting: bool) -> None:
    seen = Seen()
    first = asyncio.create_task(seen.ask("a", 0.02))
    await asyncio.sleep(0)
    second = asyncio.create_task(seen.ask("b", 1.0))
    await asyncio.sleep(0 if while_waiting else 0.05)
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert second.cancelled()
    seen.active.clear()
    await asyncio.wait_for(seen.ask("c"), timeout=1)


async def test_models_of_one_server_share_turns() -> None:
    here, there = ("http", "a", 80), ("http", "a", 81)
    assert turns_at(here) is turns_at(here)
    assert turns_at(here) is not turns_at(there)
