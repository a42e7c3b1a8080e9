"""Rollouts at other alphas: in every engine what a rollout there would record."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from inspect_lda.engines.base import Completion, Nets, Request, Sampling, ScoreRequest
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.engines.weights import WeightsEngine
from inspect_lda.evidence import EvidenceLevel
from inspect_lda.pair import PairSpec
from tests.engines.requests import PROMPTS, request, run, told
from tests.engines.test_lockstep import hybrid_pair
from tests.pair.conftest import save_adapter
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

SWEEP = (0.0, 0.3, 1.0, 2.0)


def swept(temperature: float = 0.8, tokens: int = 6) -> list[Request]:
    """Rows of a sweep, and rows between them that ask for less."""
    made = [
        Request(prompt, alpha, Sampling(temperature, seed=i), tokens, also=SWEEP)
        for i, (prompt, alpha) in enumerate((p, a) for p in PROMPTS for a in SWEEP)
    ]
    return [*made, replace(made[2], also=()), replace(made[1], also=(5.0,))]


def at(completion: Completion, alpha: float) -> list[float]:
    return told(completion).log_q_at(alpha)


async def forced(
    engine: TransformersEngine | WeightsEngine,
    asked: Request,
    tokens: Sequence[int],
    alphas: Sequence[float],
) -> list[tuple[float, ...]]:
    """Teacher forcing: another way to the same numbers."""
    temperature = asked.sampling.temperature
    found = await engine.score(
        ScoreRequest(asked.prompt, tuple(tokens), tuple(alphas), temperature)
    )
    return list(found.log_q)


async def check(engine: TransformersEngine | WeightsEngine) -> None:
    asked = swept()
    found = await asyncio.gather(*map(engine.generate, asked))
    for one, completion in zip(asked, found, strict=True):
        evidence = told(completion)
        assert [other.alpha for other in evidence.also] == list(one.others)
        alphas = one.also or (one.alpha,)
        expected = await forced(engine, one, completion.tokens, alphas)
        for alpha, values in zip(alphas, expected, strict=True):
            assert at(completion, alpha) == pytest.approx(values, abs=2e-4)
        for other in evidence.also:
            total = math.fsum(at(completion, other.alpha))
            assert other.log_q == pytest.approx(total, abs=1e-4)
    with pytest.raises(ValueError, match=r"alpha 7 was not recorded, only at -1, 0"):
        at(found[0], 7.0)


async def test_a_batch_of_a_sweep(spec: PairSpec) -> None:
    engine = TransformersEngine(spec, max_batch=8)
    try:
        await check(engine)
    finally:
        engine.close()


async def test_in_lockstep(tmp_path: Path) -> None:
    engine = TransformersEngine(hybrid_pair("qwen3_next", tmp_path).spec, max_batch=8)
    try:
        await check(engine)
    finally:
        engine.close()


async def test_amplified_weights_replay_the_text(tmp_path: Path) -> None:
    base = save_checkpoint(tmp_path / "base", tiny_model(seed=1), tiny_tokenizer())
    save_adapter(base, tmp_path / "one", seed=7)
    engine = WeightsEngine(
        PairSpec(str(tmp_path / "one"), str(base), dtype="float32", device="cpu")
    )
    try:
        await check(engine)
    finally:
        engine.close()


async def test_a_row_is_measured_the_same_in_any_company(
    engine: TransformersEngine,
) -> None:
    asked = swept()
    crowded = await run(engine, asked)
    for one, completion in zip(asked, crowded, strict=True):
        alone = await engine.generate(one)
        assert alone.tokens == completion.tokens
        for alpha in one.also:
            assert at(alone, alpha) == pytest.approx(at(completion, alpha), abs=2e-4)


async def test_nets_and_truncation_are_those_of_a_rollout_there(
    engine: TransformersEngine,
) -> None:
    """A row that draws the same token at two alphas measures each from the other."""
    rule = Sampling(seed=4, top_p=0.95, temperature=1.2)
    nets = Nets(max_kl_per_token=0.3, first_k=3)
    asked = [
        replace(request(PROMPTS[1], alpha, 5, rule), nets=nets, also=(0.5, 1.0))
        for alpha in (0.5, 1.0)
    ]
    half, whole = await run(engine, asked)
    same = 0
    for index in range(5):
        if half.tokens[: index + 1] != whole.tokens[: index + 1]:
            break
        same += 1
        for alpha in (0.5, 1.0):
            one, other = at(half, alpha)[index], at(whole, alpha)[index]
            assert one == pytest.approx(other, abs=2e-4)
    assert same >= 2, "the seed has to give a common beginning"
    assert at(half, 1.0)[3:] == at(half, 0.0)[3:], "first_k: plain from there on"
    assert at(half, 1.0)[:3] != at(half, 0.0)[:3]


@pytest.mark.parametrize("level", ["summary", "none"])
async def test_what_is_recorded_is_what_the_level_says(
    engine: TransformersEngine, level: EvidenceLevel
) -> None:
    asked = replace(swept()[1], evidence=level)
    found = await engine.generate(asked)
    if level == "none":
        assert found.evidence is None
        assert asked.others == ()
        return
    assert told(found).per_token is None
    assert [other.alpha for other in told(found).also] == [1.0, 2.0]
    with pytest.raises(ValueError, match="no values of single tokens"):
        at(found, 1.0)
