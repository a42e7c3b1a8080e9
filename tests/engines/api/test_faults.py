"""Rollouts through proxies that drop, delay, cut and refuse a tenth of all requests."""

import asyncio
from collections.abc import Sequence
from unittest import mock

import pytest

from inspect_lda.engines.api import retry
from inspect_lda.engines.base import Completion, Request
from tests.engines.api.serving import asked, serving_engine
from tests.served.faults import tenth
from tests.served.proxy import FaultProxy
from tests.served.servers import ServedPair

PROMPT = (2, 40, 41, 42, 43)
FAULTS = tenth(
    "drop before", "drop after", "delay", "truncate", "cut json", "429", "503"
)


async def sampled(
    served: ServedPair, requests: Sequence[Request], **changes: object
) -> list[Completion]:
    async with serving_engine(served, **changes) as engine:
        return list(await asyncio.gather(*map(engine.generate, requests)))


@pytest.mark.parametrize("draft", [0, "auto"])
async def test_a_seed_says_the_same_whatever_goes_wrong(
    text_pair: ServedPair, draft: object
) -> None:
    requests = [asked(PROMPT, 0.3, seed=seed, max_tokens=20) for seed in range(12)]
    quiet = await sampled(text_pair, requests, draft=draft)
    with (
        FaultProxy(text_pair.after.root, FAULTS, delay_s=0.01) as after,
        FaultProxy(text_pair.before.root, FAULTS, seed=1, delay_s=0.01) as before,
        mock.patch.object(retry, "FIRST_WAIT", 0.001),
    ):
        addresses = {"base_url": after.url, "before_base_url": before.url}
        noisy = await sampled(text_pair, requests, draft=draft, **addresses)
        assert after.lot.dealt + before.lot.dealt > 10
    assert [one.tokens for one in noisy] == [one.tokens for one in quiet]
    assert sum(one.cost.retries for one in noisy if one.cost) > 2
    for one, two in zip(noisy, quiet, strict=True):
        assert one.cost is not None
        assert two.cost is not None
        assert abs(one.cost.requests - two.cost.requests) <= 2
