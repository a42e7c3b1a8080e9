"""What can be wrong with two endpoints, found by the engine and named."""

import math
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.llama_server import Served, serve
from inspect_lda.engines.api.engine import ApiEngine
from inspect_lda.engines.base import EngineError
from inspect_lda.errors import LDAError
from tests.engines.api.serving import asked, serving_engine, spec_of
from tests.served.faults import Lot
from tests.served.proxy import FaultProxy, Rewrite
from tests.served.replay import replaying
from tests.served.servers import ServedPair

PROMPT = (2, 40, 41, 42, 43)


def each_list(answer: Any) -> Iterator[dict[str, Any]]:
    """Every step of llama.cpp's own form that has a list."""
    for one in answer if isinstance(answer, list) else [answer]:
        yield from one.get("completion_probabilities", [])


def without_lists(request: dict[str, Any], answer: Any) -> Any:
    """HTTP 200 and text, as servers answer that do not know log-probabilities."""
    for one in answer if isinstance(answer, list) else [answer]:
        one.pop("completion_probabilities", None)
    return answer


def unsteady(share: float) -> Rewrite:
    """Another answer to the same question every time: flatter by up to this share."""
    draw = random.Random(0)

    def rewrite(request: dict[str, Any], answer: Any) -> Any:
        factor = 1 - share * draw.random()
        for step in each_list(answer):
            entries = step["top_logprobs"]
            mass = sum(math.exp(one["logprob"]) for one in entries)
            flat = sum(math.exp(one["logprob"] * factor) for one in entries)
            for one in entries:
                one["logprob"] = one["logprob"] * factor + math.log(mass / flat)
        return answer

    return rewrite


@contextmanager
def proxied(
    served: ServedPair, **settings: Any
) -> Iterator[tuple[ServedPair, FaultProxy]]:
    """The pair with a proxy in front of `after`."""
    with FaultProxy(served.after.root, **settings) as proxy:
        yield replace(served, after=Served(proxy.root, served.after.model)), proxy


async def test_unsteady_answers_are_told(
    text_pair: ServedPair, caplog: pytest.LogCaptureFixture
) -> None:
    with proxied(text_pair, rewrite=unsteady(0.02)) as (served, _):
        async with serving_engine(served, draft=0) as engine:
            await engine.pair()
    assert re.search(r"to one question differ by up to 0\.\d+ nats", caplog.text)


async def test_other_tokens_behind_the_same_ids(
    text_pair: ServedPair, byte_pair: ServedPair
) -> None:
    mixed = replace(text_pair, before=byte_pair.before)
    async with serving_engine(mixed) as engine:
        with pytest.raises(LDAError, match=r"before: .* its tokens are not those of"):
            await engine.generate(asked(PROMPT))


async def test_a_server_that_never_lists(text_pair: ServedPair) -> None:
    with replaying("transformers-serve") as server:
        dead = replace(text_pair, before=Served(server.root, "tiny"))
        async with serving_engine(dead) as engine:
            with pytest.raises(LDAError, match=r"before: .*prompt must be a string"):
                await engine.generate(asked(PROMPT))


@pytest.mark.parametrize("draft", [0, 4])
async def test_lists_that_cease(text_pair: ServedPair, draft: int) -> None:
    with proxied(text_pair) as (served, proxy):
        async with serving_engine(served, draft=draft) as engine:
            await engine.generate(asked(PROMPT, max_tokens=2))
            proxy.rewrite = without_lists
            with pytest.raises(EngineError, match="without log-probabilities"):
                await engine.generate(asked(PROMPT, max_tokens=8))


async def test_a_redirect_in_the_middle(text_pair: ServedPair) -> None:
    with (
        FaultProxy(text_pair.after.root) as elsewhere,
        proxied(text_pair, redirect_to=elsewhere.root) as (served, proxy),
    ):
        async with serving_engine(served) as engine:
            await engine.generate(asked(PROMPT, max_tokens=2))
            proxy.lot = Lot({"redirect": 1.0}, seed=0)
            with pytest.raises(EngineError, match="Redirects are not followed"):
                await engine.generate(asked(PROMPT, max_tokens=2))
        assert elsewhere.asked == []


async def test_a_server_that_went_away(
    text_pair: ServedPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inspect_lda.engines.api import retry

    monkeypatch.setattr(retry, "FIRST_WAIT", 0.001)
    with serve(text_pair.pair.before.gguf, "tiny-before") as gone:
        engine = ApiEngine(spec_of(replace(text_pair, before=gone)))
        await engine.generate(asked(PROMPT, max_tokens=2))
    with pytest.raises(EngineError, match=r"the connection failed.*after 9 attempts"):
        await engine.generate(asked(PROMPT, max_tokens=2))
    engine.close()
