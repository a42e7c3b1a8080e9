"""Several servers behind one name: spread, sticky, and one of them may die."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from inspect_lda.engines.api.errors import EndpointUnavailable
from inspect_lda.engines.server.launch import free_port
from inspect_lda.engines.server.replicas import PATIENCE, Replicas
from inspect_lda.engines.server.wire import PairEndpoint
from tests.served.servers import ServedPair


async def passes(endpoint: PairEndpoint) -> None:
    """Every server serves the pair."""


def three() -> Replicas:
    urls = [f"http://127.0.0.1:{port}" for port in (1001, 1002, 1003)]
    return Replicas([PairEndpoint(url, "m") for url in urls], passes, retries=False)


async def test_prompts_are_spread_and_stay() -> None:
    replicas, gate = three(), asyncio.Event()
    seen: list[tuple[int, str]] = []

    async def ask(prompt: int) -> None:
        async def send(endpoint: PairEndpoint) -> None:
            seen.append((prompt, endpoint.address.server))
            await gate.wait()

        await replicas.ask((prompt,), send)

    # Nine prompts at once, then each again (another alpha, another epoch).
    tasks = [asyncio.ensure_future(ask(i)) for i in [*range(9), *range(9)]]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert set(Counter(server for _, server in seen).values()) == {6}
    assert len(set(seen)) == 9, "a prompt has one server"
    assert [one.outstanding for one in replicas.all] == [0, 0, 0]


async def test_a_crowd_of_one_prompt_overflows() -> None:
    replicas, gate = three(), asyncio.Event()
    seen: Counter[str] = Counter()

    async def send(endpoint: PairEndpoint) -> None:
        seen[endpoint.address.server] += 1
        await gate.wait()

    count = 6 * PATIENCE
    tasks = [asyncio.ensure_future(replicas.ask((7,), send)) for _ in range(count)]
    for _ in range(3):
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert len(seen) == 3
    assert max(seen.values()) - min(seen.values()) <= PATIENCE + 1


async def test_a_dead_server_is_left_out(needle_served: ServedPair) -> None:
    dead = f"http://127.0.0.1:{free_port()}/v1"
    urls = (dead, needle_served.after.url, needle_served.before.url)
    asked: Counter[str] = Counter()

    async def send(endpoint: PairEndpoint) -> Any:
        asked[endpoint.address.base] += 1
        return await endpoint.get("models")

    replicas = Replicas([PairEndpoint(url, "m") for url in urls], passes, retries=True)
    for prompt in range(8):
        assert (await replicas.ask((prompt,), send))["data"]
    replicas.close()
    assert asked[dead] == 1
    assert sum(asked.values()) == 9


async def test_a_server_that_comes_back_is_checked_first() -> None:
    checked: list[str] = []

    async def check(endpoint: PairEndpoint) -> None:
        checked.append(endpoint.address.server)

    async def fails(endpoint: PairEndpoint) -> None:
        raise EndpointUnavailable("gone")

    async def answers(endpoint: PairEndpoint) -> str:
        return "here"

    endpoint = PairEndpoint("http://127.0.0.1:1001", "m")
    replicas = Replicas([endpoint], check, retries=False)
    assert await replicas.ask((1,), answers) == "here"
    with pytest.raises(EndpointUnavailable):
        await replicas.ask((1,), fails)
    # The only one there is: asked again at once, but not trusted.
    assert await replicas.ask((1,), answers) == "here"
    assert await replicas.ask((1,), answers) == "here"
    assert len(checked) == 2
