"""What a step draws from, on real servers, against float32 transformers."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from inspect_lda.engines.api.choosing import Plain
from inspect_lda.engines.api.served import ServedPair as Opened
from inspect_lda.engines.api.stepping import RowStepper
from inspect_lda.engines.api.support import Support
from inspect_lda.engines.base import Nets, Request
from inspect_lda.engines.rows import RowState
from tests.engines.api.serving import K, asked, exact, local_engine, serving_engine
from tests.served.needle import NeedlePair
from tests.served.servers import ServedPair

ALPHAS = (-1.0, -0.5, 0.0, 0.3, 1.0, 3.0, 10.0, 20.0)
PROMPT = (2, 40, 41, 42, 43)
VARIANTS = (
    pytest.param({"alpha": 0.3}, marks=pytest.mark.slow),
    {"alpha": 1.0, "temperature": 0.7, "top_p": 0.8},
    {"alpha": 3.0, "min_p": 0.05, "frequency_penalty": 0.7, "logit_bias": {50: 2.0}},
    pytest.param(
        {"alpha": -0.5, "top_k": 5, "presence_penalty": 0.5}, marks=pytest.mark.slow
    ),
    {"alpha": 2.0, "temperature": 0.0},
)


def chances(pair: Opened, support: Support, request: Request) -> Tensor:
    """The chances `[V]` that a step gives the ids."""
    choose = Plain(0.5)
    RowStepper(RowState(request, pair.decoding), pair.vocabulary)(support, choose)
    whole = torch.zeros(pair.vocabulary, dtype=torch.float64)
    whole[list(support.ids)] = choose.chances[: len(support.ids)]
    return whole


async def test_every_step_is_that_of_transformers(text_pair: ServedPair) -> None:
    async with serving_engine(text_pair) as engine:
        pair = await engine.pair()
        walk = await engine.generate(asked(PROMPT, 1.0, max_tokens=12, seed=3))
        ids = (*PROMPT, *walk.tokens)
        prefixes = [ids[:end] for end in range(len(PROMPT), len(ids))]
        sights = await pair.view(asked(PROMPT)).look(prefixes)
    for alpha in ALPHAS:
        for temperature in (1.0, 0.6):
            request = asked(PROMPT, alpha, temperature=temperature)
            for prefix, sight in zip(prefixes, sights, strict=True):
                q = chances(pair, sight.support, request)
                p = exact(text_pair.pair, prefix, alpha, K, temperature)
                assert float((p - q).abs().sum() / 2) < 1e-4, (alpha, temperature)


async def test_other_alphas_are_measured_on_the_support(text_pair: ServedPair) -> None:
    request = replace(asked(PROMPT, 1.0, max_tokens=8, seed=3), also=(0.3, 0.0, 3.0))
    async with serving_engine(text_pair) as engine:
        walk = await engine.generate(request)
    assert walk.evidence is not None
    assert [other.alpha for other in walk.evidence.also] == [0.3, 3.0]
    for alpha in (*request.also, 1.0):
        for index, log_q in enumerate(walk.evidence.log_q_at(alpha)):
            prefix = (*PROMPT, *walk.tokens[:index])
            p = exact(text_pair.pair, prefix, alpha)
            assert log_q == pytest.approx(float(p[walk.tokens[index]].log()), abs=2e-3)


async def test_alpha_0_and_minus_1_are_the_checkpoints(text_pair: ServedPair) -> None:
    async with serving_engine(text_pair) as engine:
        pair = await engine.pair()
        [sight] = await pair.view(asked(PROMPT)).look([PROMPT])
    support = sight.support
    for alpha, listed in ((0.0, support.after), (-1.0, support.before)):
        q = chances(pair, support, asked(PROMPT, alpha))[list(support.ids)]
        rest = torch.full((1,), -torch.inf)
        alone = torch.cat([torch.tensor(listed), rest]).softmax(-1)[:-1].double()
        assert torch.equal(q, alone / alone.sum()), alpha


async def test_an_identity_pair_is_flat(text_pair: ServedPair) -> None:
    same = {"before": text_pair.after.model, "before_base_url": text_pair.after.url}
    async with serving_engine(text_pair, **same) as engine:
        requests = [asked(PROMPT, alpha, seed=5) for alpha in (0.0, 1.0, 20.0)]
        texts = {(await engine.generate(request)).tokens for request in requests}
        rollout = await engine.generate(asked(PROMPT, 20.0, seed=5))
    assert len(texts) == 1
    assert rollout.evidence is not None
    assert rollout.evidence.kl_max < 1e-6


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
async def test_a_seed_says_what_it_says_in_transformers(
    text_pair: ServedPair, variant: dict[str, float]
) -> None:
    """Both engines draw with one uniform a token from columns in the same order."""
    requests = [asked(PROMPT, seed=seed, **variant) for seed in range(3)]  # type: ignore[arg-type]
    with local_engine(text_pair.pair) as local:
        there = [await local.generate(request) for request in requests]
    async with serving_engine(text_pair) as engine:
        here = [await engine.generate(request) for request in requests]
    for mine, other in zip(here, there, strict=True):
        assert mine.tokens == other.tokens
        assert mine.stop_reason == other.stop_reason
        one, two = mine.evidence, other.evidence
        assert one is not None
        assert two is not None
        for name in ("log_q", "log_p_after", "log_p_before"):
            assert getattr(one, name) == pytest.approx(getattr(two, name), abs=1e-3)
        if variant.get("temperature", 1.0) == 1.0:
            assert one.log_p_plain == pytest.approx(two.log_p_plain, abs=1e-3)


async def test_nets_hold_back_as_in_transformers(text_pair: ServedPair) -> None:
    nets = Nets(max_kl_per_token=0.05, plausibility=0.02, alpha_schedule=((0, 0.5),))
    request = replace(asked(PROMPT, 3.0, seed=2), nets=nets)
    with local_engine(text_pair.pair) as local:
        there = await local.generate(request)
    async with serving_engine(text_pair, audit_every=5) as engine:
        here = await engine.generate(request)
    assert here.tokens == there.tokens
    assert here.evidence is not None
    assert there.evidence is not None
    assert here.evidence.nets is not None
    assert here.evidence.nets == there.evidence.nets.model_copy(  # type: ignore[union-attr]
        update={
            "alpha_mean": pytest.approx(there.evidence.nets.alpha_mean, abs=1e-3),  # type: ignore[union-attr]
            "dropped_mean": pytest.approx(there.evidence.nets.dropped_mean, abs=1e-3),  # type: ignore[union-attr]
        }
    )


async def test_the_needle_survives(
    needle_served: ServedPair, needle_files: NeedlePair
) -> None:
    """12th likely in `after`, 541st in `before`: no list of 20 of `before` has it."""
    first = needle_files.phrase[0]
    async with serving_engine(needle_served) as engine:
        pair = await engine.pair()
        prompts = needle_files.prompts
        sights = await pair.view(asked(PROMPT)).look(prompts)
        short = await pair.sides[1].side.dialect.top(prompts, K)
        for prompt, sight, listing in zip(prompts, sights, short, strict=True):
            assert first in sight.support.ids
            assert first not in listing.logprobs
            q = chances(pair, sight.support, asked(prompt, 1.0))[first]
            whole = exact(needle_files.pair, prompt, 1.0, k=0)[first]
            assert q > 0.5 * whole > 0.01
