"""Requests through a proxy that fails, in front of the real server."""

import asyncio
import time

import pytest

from inspect_lda.engines.api import retry
from inspect_lda.engines.api.address import Address
from inspect_lda.engines.api.dialect import Capabilities, Ids
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import (
    AnswerError,
    EndpointError,
    EndpointUnavailable,
)
from inspect_lda.engines.api.listing import Listing
from inspect_lda.engines.api.meter import metering
from inspect_lda.engines.api.wire import speak
from inspect_lda.engines.api.wire.base import Wire
from inspect_lda.engines.base import Cost
from tests.served.faults import Fault, tenth
from tests.served.proxy import FaultProxy
from tests.served.servers import ServedPair

PREFIXES: list[Ids] = [(2, 40 + i % 30, 40 + i) for i in range(60)]
PASSING: tuple[Fault, ...] = (
    "drop before",
    "drop after",
    "delay",
    "truncate",
    "cut json",
    "429",
    "500",
    "502",
    "503",
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait as users do, a hundred times faster."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.005)


def wire_at(url: str, model: str = "tiny-after", retries: int = 8) -> Wire:
    """The dialect, without a probe."""
    able = Capabilities(
        dialect="llamacpp",
        model=model,
        max_top=None,
        token_ids=True,
        many_prompts=True,
        exact=True,
    )
    return speak(Endpoint(url, model, retries=retries), able)


async def one_by_one(wire: Wire) -> tuple[list[Listing], list[Cost]]:
    """Every prefix by itself, all at once, each under a meter of its own."""

    async def ask(prefix: Ids) -> tuple[Listing, Cost]:
        with metering() as meter:
            [listing] = await wire.top([prefix], 10)
        return listing, meter.cost()

    pairs = await asyncio.gather(*map(ask, PREFIXES))
    return [listing for listing, _ in pairs], [cost for _, cost in pairs]


async def test_faults_change_no_answer_and_are_counted(text_pair: ServedPair) -> None:
    expected, _ = await one_by_one(wire_at(text_pair.after.url))
    with FaultProxy(text_pair.after.root, tenth(*PASSING), seed=3) as proxy:
        found, costs = await one_by_one(wire_at(proxy.url))
        failed = proxy.lot.dealt - proxy.lot.counts["delay"]
        assert len(proxy.asked) == sum(cost.requests + cost.retries for cost in costs)
    assert failed > 3
    assert sum(cost.retries for cost in costs) == failed
    for one, two in zip(expected, found, strict=True):
        assert list(one.logprobs) == list(two.logprobs)
        assert list(one.logprobs.values()) == pytest.approx(
            list(two.logprobs.values()), abs=2e-5
        )


async def test_a_meter_counts_its_own_completion(text_pair: ServedPair) -> None:
    wire = wire_at(text_pair.after.url)
    await wire.top(PREFIXES[:1], 5)
    _, costs = await one_by_one(wire)
    assert costs == [Cost(requests=1, input_tokens=3, output_tokens=1)] * len(costs)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("drop before", "the connection failed"),
        ("drop after", "the connection failed"),
        ("truncate", "the connection failed"),
        ("cut json", "cut off"),
        ("429", "HTTP 429: .*Too Many Requests"),
        ("500", "HTTP 500"),
        ("503", "HTTP 503"),
    ],
)
async def test_a_fault_that_stays_is_unavailable(
    text_pair: ServedPair, fault: Fault, said: str
) -> None:
    with FaultProxy(text_pair.after.root, {fault: 1.0}) as proxy:
        endpoint = Endpoint(proxy.url, "tiny-after", retries=2)
        with pytest.raises(EndpointUnavailable, match=said) as raised:
            await endpoint.get("models")
        assert len(proxy.asked) == 3
        error = raised.value
        assert f"tiny-after at {proxy.url}/models" in str(error)
        assert "after 3 attempts" in str(error)
        assert error.rate_limited == (fault == "429")


async def test_the_meter_says_how_often_to_retry(text_pair: ServedPair) -> None:
    with FaultProxy(text_pair.after.root, {"503": 1.0}) as proxy:
        endpoint = Endpoint(proxy.url, "tiny-after", retries=8)
        with metering(retries_allowed=1), pytest.raises(EndpointUnavailable):
            await endpoint.get("models")
        assert len(proxy.asked) == 2


async def test_retry_after_is_waited(text_pair: ServedPair) -> None:
    shares: dict[Fault, float] = {"429 later": 1.0}
    with FaultProxy(text_pair.after.root, shares, retry_after="0.4") as proxy:
        endpoint, began = Endpoint(proxy.url, "m", retries=1), time.monotonic()
        with pytest.raises(EndpointUnavailable) as raised:
            await endpoint.get("models")
        assert time.monotonic() - began >= 0.4
        assert raised.value.retry_after == 0.4
    with FaultProxy(text_pair.after.root, shares, retry_after="3600") as proxy:
        began = time.monotonic()
        with pytest.raises(EndpointUnavailable) as raised:
            await Endpoint(proxy.url, "m").get("models")
        assert time.monotonic() - began < 5
        assert raised.value.retry_after == 3600


async def test_a_late_answer_is_asked_again(text_pair: ServedPair) -> None:
    with FaultProxy(text_pair.after.root, {"delay": 1.0}, delay_s=5) as proxy:
        endpoint = Endpoint(proxy.url, "m", timeout=0.2, retries=1)
        with pytest.raises(EndpointUnavailable, match="no answer in time"):
            await endpoint.get("models")
        assert len(proxy.asked) == 2


async def test_redirects_lead_nowhere(text_pair: ServedPair) -> None:
    with (
        FaultProxy(text_pair.before.root) as elsewhere,
        FaultProxy(
            text_pair.after.root, {"redirect": 1.0}, redirect_to=elsewhere.root
        ) as proxy,
    ):
        wire = wire_at(proxy.url)
        with pytest.raises(EndpointError, match=f"redirects to {elsewhere.root}"):
            await wire.top(PREFIXES[:1], 5)
        assert (len(proxy.asked), elsewhere.asked) == (1, [])


async def test_no_other_server_is_called(text_pair: ServedPair) -> None:
    with FaultProxy(text_pair.before.root) as elsewhere:
        endpoint = Endpoint(text_pair.after.url, "tiny-after")
        endpoint.address = Address.parse(elsewhere.url)
        with pytest.raises(EndpointError, match="it was not sent"):
            await endpoint.get("models")
        assert elsewhere.asked == []


async def test_a_refusal_is_not_repeated(text_pair: ServedPair) -> None:
    with FaultProxy(text_pair.after.root) as proxy:
        endpoint = Endpoint(proxy.url, "tiny-after")
        with pytest.raises(EndpointError, match=r"HTTP 404.*check base_url") as raised:
            await endpoint.get("no-such-route")
        assert not isinstance(raised.value, EndpointUnavailable)
        assert raised.value.status == 404
        assert len(proxy.asked) == 1


async def test_a_page_is_no_api(text_pair: ServedPair) -> None:
    endpoint = Endpoint(text_pair.after.url, "tiny-after")
    with pytest.raises(AnswerError, match="Is this the address of an API"):
        await endpoint.get("/")


def test_an_endpoint_outlives_an_event_loop(text_pair: ServedPair) -> None:
    wire = wire_at(text_pair.after.url)
    [one] = asyncio.run(wire.top(PREFIXES[:1], 5))
    [two] = asyncio.run(wire.top(PREFIXES[:1], 5))
    assert list(one.logprobs) == list(two.logprobs)
    wire.endpoint.close()
