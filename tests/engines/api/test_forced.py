"""Scores of known continuations over endpoints, against transformers."""

import math

import pytest

from inspect_lda.engines.base import EngineError, Nets, ScoreRequest
from tests.engines.api.serving import K, local_engine, serving_engine
from tests.served.needle import NeedlePair
from tests.served.servers import ServedPair

ALPHAS = (-1.0, 0.0, 0.3, 1.0, 5.0)
PROMPT = (2, 40, 41, 42, 43)


@pytest.mark.parametrize("support", [0, K])
async def test_scores_are_those_of_transformers(
    needle_served: ServedPair, needle_files: NeedlePair, support: int
) -> None:
    asked = ScoreRequest(
        needle_files.prompts[1],
        needle_files.phrase,
        ALPHAS,
        temperature=0.8,
        support=support,
    )
    held = ScoreRequest(**{**vars(asked), "nets": Nets(max_kl_per_token=0.3)})
    with local_engine(needle_files.pair) as local:
        there = [await local.score(one) for one in (asked, held)]
    async with serving_engine(needle_served) as engine:
        here = [await engine.score(one) for one in (asked, held)]
    for mine, other in zip(here, there, strict=True):
        for one, two in zip(mine.log_q, other.log_q, strict=True):
            assert one == pytest.approx(two, abs=2e-4)
        assert mine.log_p_after == pytest.approx(other.log_p_after, abs=2e-4)
        assert mine.log_p_before == pytest.approx(other.log_p_before, abs=2e-4)
        assert mine.cost is not None
    assert mine.log_q[2] != here[0].log_q[2]


async def test_one_pass_for_every_alpha(needle_served: ServedPair) -> None:
    async with serving_engine(needle_served) as engine:
        await engine.score(ScoreRequest(PROMPT, (50,), (1.0,), support=K))
        continuation = tuple(range(50, 70))
        asked = ScoreRequest(PROMPT, continuation, ALPHAS, support=K)
        scored = await engine.score(asked)
    assert scored.cost is not None
    assert scored.cost.requests == 2
    assert len(scored.log_q) == len(ALPHAS)
    assert {len(steps) for steps in scored.log_q} == {len(continuation)}


async def test_what_can_not_be_drawn_has_no_probability(
    needle_served: ServedPair, needle_files: NeedlePair
) -> None:
    exact = needle_files.pair.after.logprobs(list(PROMPT))
    least = int(exact.argmin())
    async with serving_engine(needle_served) as engine:
        cut = await engine.score(ScoreRequest(PROMPT, (least,), ALPHAS, support=K))
        full = await engine.score(ScoreRequest(PROMPT, (least,), ALPHAS))
    assert all(steps == (-math.inf,) for steps in cut.log_q)
    assert full.log_p_after[0] == pytest.approx(float(exact[least]), abs=1e-4)


async def test_the_whole_vocabulary_has_to_be_on_offer(
    needle_served: ServedPair,
) -> None:
    async with serving_engine(needle_served) as engine:
        pair = await engine.pair()
        for one in pair.sides:
            object.__setattr__(
                one.side, "can", one.side.can.model_copy(update={"max_top": 100})
            )
        with pytest.raises(EngineError, match=r"support=full: after .* at most 100"):
            await engine.score(ScoreRequest(PROMPT, (50,), ALPHAS))
        with pytest.raises(EngineError, match=r"Take -M support=100"):
            await engine.score(ScoreRequest(PROMPT, (50,), ALPHAS, support=101))
