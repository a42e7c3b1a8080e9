"""Teacher forcing: equal to step-by-step probabilities, alone and together."""

import asyncio
from dataclasses import replace

import pytest

from inspect_lda.engines.base import (
    EngineError,
    Scored,
    ScoreRequest,
)
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.pair import Pair, PairSpec
from tests.engines.reference import reference_logits
from tests.engines.requests import PROMPTS


async def test_score_equals_step_by_step_probabilities(
    engine: TransformersEngine, pair: Pair
) -> None:
    alphas = (-1.0, 0.0, 0.5, 4.0)
    continuation = (20, 21, 22)
    scored = await engine.score(
        ScoreRequest(PROMPTS[0], continuation, alphas, temperature=0.7)
    )
    for alpha, row in zip(alphas, scored.log_q, strict=True):
        for index, token in enumerate(continuation):
            ids = [*PROMPTS[0], *continuation[:index]]
            logits = reference_logits(pair.after, pair.before, ids, alpha) / 0.7
            exact = float(logits.log_softmax(-1)[token])
            assert row[index] == pytest.approx(exact, abs=1e-3)
    assert scored.log_p_before == scored.log_q[0]
    assert scored.log_p_after == scored.log_q[1]


async def test_scores_of_many_requests_equal_those_of_one(
    engine: TransformersEngine,
) -> None:
    asked = [
        ScoreRequest(prompt, continuation, (0.0, 2.0), temperature)
        for prompt in PROMPTS
        for continuation, temperature in (((20,), 1.0), ((20, 21, 22, 23), 0.7))
    ]
    alone = [await engine.score(one) for one in asked]
    together = await asyncio.gather(*map(engine.score, asked))
    for one, other in zip(alone, together, strict=True):
        for left, right in zip(one.log_q, other.log_q, strict=True):
            assert left == pytest.approx(right, abs=1e-4)


async def test_a_bad_score_request_fails_alone(engine: TransformersEngine) -> None:
    good = ScoreRequest(PROMPTS[0], (20,), (0.0,))
    results = await asyncio.gather(
        engine.score(replace(good, continuation=(9999,))),
        engine.score(good),
        engine.score(replace(good, continuation=())),
        return_exceptions=True,
    )
    assert isinstance(results[0], EngineError)
    assert "9999" in str(results[0])
    assert isinstance(results[1], Scored)
    assert isinstance(results[2], EngineError)


async def test_scores_fail_with_the_weights(spec: PairSpec) -> None:
    broken = TransformersEngine(replace(spec, after=spec.after + "-missing"))
    try:
        with pytest.raises(ValueError, match="missing"):
            await broken.score(ScoreRequest(PROMPTS[0], (20,), (0.0,)))
    finally:
        broken.close()
