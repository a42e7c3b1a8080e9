"""The proxy passes what it should, and fails as often and in the ways it says."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.served.faults import FAULTS, Fault, tenth
from tests.served.proxy import FaultProxy
from tests.served.servers import ServedPair


def body(token: int = 10) -> dict[str, Any]:
    """A request whose answer is a list of 5."""
    return {"prompt": [2, token], "max_tokens": 1, "logprobs": 5, "temperature": 0}


def ask(proxy: FaultProxy, token: int = 10) -> httpx.Response:
    """One request through the proxy."""
    return httpx.post(f"{proxy.url}/completions", json=body(token))


def listed(reply: httpx.Response) -> dict[int, float]:
    """The list in an answer."""
    (entry,) = reply.json()["choices"][0]["logprobs"]["content"]
    return {one["id"]: one["logprob"] for one in entry["top_logprobs"]}


def always(served: ServedPair, fault: Fault, **settings: Any) -> FaultProxy:
    """A proxy that does this to every request."""
    return FaultProxy(served.after.root, {fault: 1.0}, **settings)


def test_passes_on_what_the_server_says(text_pair: ServedPair) -> None:
    direct = listed(httpx.post(f"{text_pair.after.url}/completions", json=body()))
    with FaultProxy(text_pair.after.root) as proxy, httpx.Client() as client:
        for _ in range(2):  # over one connection
            reply = client.post(f"{proxy.url}/completions", json=body())
            # The server's own noise: it depends on what its cache already holds.
            assert listed(reply) == pytest.approx(direct, abs=1e-4)
        assert client.get(f"{proxy.url}/models").json()["data"][0]["id"] == "tiny-after"
    assert [one.line for one in proxy.asked][1:] == [
        "POST /v1/completions",
        "GET /v1/models",
    ]
    assert proxy.lot.counts == {"none": 3}


@pytest.mark.parametrize("fault", ["drop before", "drop after", "truncate"])
def test_connection_ends(text_pair: ServedPair, fault: Fault) -> None:
    with always(text_pair, fault) as proxy, pytest.raises(httpx.RemoteProtocolError):
        ask(proxy)


def test_half_an_answer_is_not_json(text_pair: ServedPair) -> None:
    with always(text_pair, "cut json") as proxy:
        reply = ask(proxy)
        assert reply.status_code == 200
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            reply.json()


@pytest.mark.parametrize("fault", ["429", "429 later", "500", "502", "503"])
def test_refusals(text_pair: ServedPair, fault: Fault) -> None:
    with always(text_pair, fault, retry_after="7") as proxy:
        reply = ask(proxy)
    assert str(reply.status_code) == fault.removesuffix(" later")
    assert reply.headers.get("retry-after") == ("7" if fault == "429 later" else None)


def test_redirect_names_the_other_host(text_pair: ServedPair) -> None:
    with always(text_pair, "redirect", redirect_to="http://elsewhere") as proxy:
        reply = ask(proxy)
    assert reply.status_code == 307
    assert reply.headers["location"] == "http://elsewhere/v1/completions"


def test_delay_is_one(text_pair: ServedPair) -> None:
    with always(text_pair, "delay", delay_s=0.2) as proxy:
        started = time.monotonic()
        assert ask(proxy).json()["choices"]
        assert time.monotonic() - started > 0.2


async def test_share_of_faults_and_their_seed(text_pair: ServedPair) -> None:
    """Concurrent, in any order: the same requests meet the same faults."""

    async def statuses(seed: int, order: int) -> list[int]:
        places = asyncio.Semaphore(8)
        shares = tenth("429", "500", "503")
        with FaultProxy(text_pair.after.root, shares, seed=seed) as proxy:
            async with httpx.AsyncClient(base_url=proxy.url) as client:

                async def code(token: int) -> int:
                    async with places:
                        reply = await client.post("/completions", json=body(token))
                        return reply.status_code

                tokens = range(4, 304)[::order]
                codes = await asyncio.gather(*map(code, tokens))
        assert proxy.lot.dealt == sum(one != 200 for one in codes)
        return codes[::order]

    first = await statuses(0, 1)
    assert await statuses(0, -1) == first
    assert await statuses(1, 1) != first
    assert 15 <= sum(code != 200 for code in first) <= 48  # 30 expected


def test_a_request_sent_again_has_a_new_chance(text_pair: ServedPair) -> None:
    with FaultProxy(text_pair.after.root, {"500": 0.5}) as proxy:
        codes = {ask(proxy).status_code for _ in range(12)}
    assert codes == {200, 500}


def test_server_is_replaced_behind_one_name(text_pair: ServedPair) -> None:
    with FaultProxy(text_pair.after.root) as proxy:
        first = listed(ask(proxy))
        proxy.target = text_pair.before.root
        assert listed(ask(proxy)) != pytest.approx(first, abs=1e-4)


def test_answers_can_be_rewritten(text_pair: ServedPair) -> None:
    def without(asked: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        assert asked == body()
        answer["choices"][0]["logprobs"] = None
        return answer

    with FaultProxy(text_pair.after.root, rewrite=without) as proxy:
        assert ask(proxy).json()["choices"][0]["logprobs"] is None


def test_shares_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="shares: got"):
        FaultProxy("http://127.0.0.1:1", {"429": 1.5})
    assert sum(tenth(*FAULTS).values()) == pytest.approx(0.1)
