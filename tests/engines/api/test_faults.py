"""Whole rollouts while the way to the servers fails: same tokens, none lost."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.llama_server import Served
from inspect_lda.engines.api import retry
from inspect_lda.engines.base import Completion, Cost
from tests.engines.api.serving import asked, serving_engine
from tests.served.faults import Fault, tenth
from tests.served.proxy import FaultProxy
from tests.served.servers import ServedPair

PASSING: tuple[Fault, ...] = (
    "drop before",
    "drop after",
    "delay",
    "truncate",
    "cut json",
    "429",
    "429 later",
    "500",
    "502",
    "503",
)
IN_FLIGHT = 16


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait as users do, a hundred times faster."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.005)


def behind(served: ServedPair, proxies: Sequence[FaultProxy]) -> ServedPair:
    """The pair as it is reached through proxies, `after` first."""
    after, before = proxies
    return replace(
        served,
        after=Served(after.root, served.after.model),
        before=Served(before.root, served.before.model),
    )


def failing(
    stack: ExitStack, served: ServedPair, shares: Mapping[Fault, float]
) -> list[FaultProxy]:
    """A failing proxy in front of each server."""
    return [
        stack.enter_context(
            FaultProxy(server.root, shares, seed=i, delay_s=0.02, retry_after="0.01")
        )
        for i, server in enumerate((served.after, served.before))
    ]


async def rollouts(
    served: ServedPair, n: int, tokens: int, **changes: Any
) -> list[Completion]:
    """So many completions of a few prompts, each with a seed of its own."""
    places = asyncio.Semaphore(IN_FLIGHT)
    prompts = [served.pair.chat(text) for text in ("hi", "why?", "2 + 2")]
    async with serving_engine(served, before_top_k=80, **changes) as engine:

        async def one(seed: int) -> Completion:
            request = asked(prompts[seed % 3], seed=seed, max_tokens=tokens)
            async with places:
                return await engine.generate(request)

        await engine.pair()
        return list(await asyncio.gather(*map(one, range(n))))


def costs(completions: Sequence[Completion]) -> list[Cost]:
    """What each took, repeats left out."""
    return [replace(one.cost, retries=0) for one in completions if one.cost]


async def compared(
    served: ServedPair, n: int, tokens: int, **changes: Any
) -> list[FaultProxy]:
    """Run rollouts without and with faults; returns the proxies, after and before."""
    smooth = await rollouts(served, n, tokens, **changes)
    with ExitStack() as stack:
        proxies = failing(stack, served, tenth(*PASSING))
        rough = await rollouts(behind(served, proxies), n, tokens, **changes)
    assert len({one.tokens for one in rough}) > n / 2
    assert [one.tokens for one in rough] == [one.tokens for one in smooth]
    # Nothing was begun anew: it takes what it takes without faults, …
    assert len(costs(rough)) == n
    assert costs(rough) == costs(smooth)
    # … and each request that failed once more. Some of them were the probe's.
    retries = sum(one.cost.retries for one in rough if one.cost)
    failed = sum(proxy.lot.dealt - proxy.lot.counts["delay"] for proxy in proxies)
    assert failed - 20 <= retries <= failed
    return proxies


async def test_rollouts_survive_a_failing_way(text_pair: ServedPair) -> None:
    for proxy in await compared(text_pair, 200, tokens=2):
        assert set(PASSING) <= proxy.lot.counts.keys()
        assert proxy.lot.dealt > 0.07 * 200 * 2


async def test_drafts_survive_it_too(text_pair: ServedPair) -> None:
    proxies = await compared(text_pair, 60, tokens=6, draft=4)
    assert sum(proxy.lot.dealt for proxy in proxies) > 10


@pytest.mark.slow
async def test_a_thousand_rollouts(text_pair: ServedPair) -> None:
    for proxy in await compared(text_pair, 1000, tokens=4):
        assert proxy.lot.dealt > 0.08 * 1000 * 4
