"""Endpoints are asked what they are once, however many rollouts begin together."""

import asyncio

import pytest

from inspect_lda.engines.api.engine import ApiEngine
from inspect_lda.engines.api.errors import EndpointUnavailable
from inspect_lda.engines.api.meter import metering
from tests.engines.api.serving import spec_of
from tests.served.proxy import FaultProxy
from tests.served.servers import ServedPair


async def test_rollouts_that_begin_together_share_a_probe(
    text_pair: ServedPair,
) -> None:
    with FaultProxy(text_pair.after.root) as proxy:
        engine = ApiEngine(spec_of(text_pair, base_url=proxy.url))
        first, *others = await asyncio.gather(*(engine.pair() for _ in range(20)))
        assert all(pair is first for pair in others)
        listings = [one.line for one in proxy.asked if "/v1/models" in one.line]
        assert len(listings) == 1
        engine.close()


async def test_an_opening_that_failed_is_tried_again(text_pair: ServedPair) -> None:
    with FaultProxy(text_pair.after.root, {"503": 1.0}) as proxy:
        engine = ApiEngine(spec_of(text_pair, base_url=proxy.url))
        with metering(retries_allowed=0), pytest.raises(EndpointUnavailable):
            await engine.pair()
        proxy.lot.shares = {}
        await engine.pair()
        engine.close()


async def test_a_cancelled_rollout_leaves_the_probe_to_the_others(
    text_pair: ServedPair,
) -> None:
    engine = ApiEngine(spec_of(text_pair))
    one, two = (asyncio.create_task(engine.pair()) for _ in range(2))
    await asyncio.sleep(0.01)
    one.cancel()
    assert (await two).vocabulary == len(text_pair.pair.tokenizer)
    assert one.cancelled()
    engine.close()
