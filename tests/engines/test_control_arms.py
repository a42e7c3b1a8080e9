"""What controls rest on: placebo rows, the mirrored pair, the identity pair."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from inspect_lda.decoding.amplify import amplify
from inspect_lda.decoding.placebo import placebo, placebo_order
from inspect_lda.engines.base import Completion, Request, Sampling
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.pair import Pair, PairSpec
from tests.engines.reference import reference_logits
from tests.engines.requests import PROMPTS, run, told


def asked(alpha: float, steps: int = 20) -> list[Request]:
    """A request a prompt, each with its own seed."""
    made = []
    for seed, prompt in enumerate(PROMPTS):
        sampling = Sampling(temperature=0.9, seed=seed, logit_bias={})
        made.append(Request(prompt, alpha, sampling, max_tokens=steps))
    return made


def log_q(completion: Completion) -> list[float]:
    packed = told(completion).per_token
    assert packed is not None
    return packed.unpack()["log_q"]


async def test_a_placebo_draws_from_what_was_handed_round(
    engine: TransformersEngine, pair: Pair
) -> None:
    [got] = await run(engine, [replace(asked(2.0)[1], placebo=True)])
    [plain] = await run(engine, [asked(2.0)[1]])
    ids = list(PROMPTS[1])
    for step, token in enumerate(got.tokens):
        after, amplified = (
            reference_logits(pair.after, pair.before, ids, alpha)
            for alpha in (0.0, 2.0)
        )
        order = placebo_order(1, step, len(after))
        q = (placebo(after, amplified, order) / 0.9).log_softmax(-1)
        assert log_q(got)[step] == pytest.approx(float(q[token]), abs=1e-3)
        ids.append(token)
    assert got.tokens != plain.tokens


async def test_a_placebo_does_not_depend_on_the_batch(
    engine: TransformersEngine,
) -> None:
    placebos = [replace(one, placebo=True) for one in asked(1.5)]
    together = await run(engine, [*placebos, *asked(1.5)])
    for one, got in zip(placebos, together, strict=False):
        assert (await engine.generate(one)).tokens == got.tokens
    # Nor does its neighbour depend on it.
    alone = await run(engine, asked(1.5))
    assert [one.tokens for one in together[3:]] == [one.tokens for one in alone]


async def test_a_placebo_of_nothing_is_nothing(engine: TransformersEngine) -> None:
    plain = await run(engine, asked(0.0))
    other = await run(engine, [replace(one, placebo=True) for one in asked(0.0)])
    assert [one.tokens for one in plain] == [one.tokens for one in other]


async def _texts(spec: PairSpec, requests: Sequence[Request]) -> list[Completion]:
    engine = TransformersEngine(spec, max_batch=4)
    try:
        return await run(engine, requests)
    finally:
        engine.close()


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 3.0])
async def test_the_swapped_pair_is_this_pair_at_minus_one_minus_alpha(
    alpha: float, spec: PairSpec, engine: TransformersEngine
) -> None:
    assert spec.before is not None
    swapped = replace(spec, after=spec.before, before=spec.after)
    mirrored = await run(engine, asked(-1 - alpha))
    for ours, theirs in zip(mirrored, await _texts(swapped, asked(alpha)), strict=True):
        assert ours.tokens == theirs.tokens
        assert log_q(ours) == pytest.approx(log_q(theirs), abs=1e-3)


def test_the_mirror_in_logits() -> None:
    noise = torch.Generator().manual_seed(0)
    after, before = (5 * torch.randn(3, 99, generator=noise) for _ in range(2))
    for alpha in (0.0, 0.3, 1.0, 20.0):
        swapped = amplify(before, after, alpha)
        assert torch.allclose(amplify(after, before, -1 - alpha), swapped, atol=1e-4)


async def test_an_identity_pair_writes_what_alpha_0_writes(
    spec: PairSpec, engine: TransformersEngine
) -> None:
    plain = await run(engine, asked(0.0))
    same = await _texts(replace(spec, before=spec.after), asked(5.0))
    assert [one.tokens for one in same] == [one.tokens for one in plain]
    # And not because amplification does nothing to this pair.
    moved = await run(engine, asked(5.0))
    assert [one.tokens for one in moved] != [one.tokens for one in plain]
