"""Safety nets in the engine: exact draws and weights, whatever else is in the batch."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import Tensor

from inspect_lda.engines.base import (
    Completion,
    Nets,
    Request,
    Sampling,
    ScoreRequest,
)
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.evidence import NetEvidence
from inspect_lda.pair import Pair, PairSpec
from tests.decoding.held import held
from tests.engines.reference import reference_logits
from tests.engines.requests import PROMPTS, request, run, told
from tests.engines.test_lockstep import hybrid_pair

TIGHT = Nets(max_kl_per_token=0.2)
MANY = Nets(0.4, 0.1, 0.05, 0.0, 2, ((0, 0.9), (1, 0.5)))
FLOOR = Nets(plausibility=0.1)
ASKED = (
    (3.0, 1.0, TIGHT),
    (2.0, 0.7, Nets(soft_threshold=0.6)),
    (1.0, 1.0, Nets(kl_gate=100.0)),
    (1.0, 1.0, FLOOR),
    (-2.0, 1.0, TIGHT),
    (2.0, 1.3, MANY),
    (3.0, 1.0, Nets()),
)


def nets_of(completion: Completion) -> NetEvidence:
    found = told(completion).nets
    assert found is not None
    return found


def exact(
    pair: Pair, ids: Sequence[int], asked: Request, step: int = 0
) -> tuple[Tensor, float]:
    """Probabilities `[V]` in float64, and the amplification left."""
    after, before = (
        reference_logits(pair.after, pair.before, ids, alpha) for alpha in (0.0, -1.0)
    )
    sampling = asked.sampling
    made = held(after, before, asked.alpha, asked.nets, step, sampling.temperature)
    return made.logits.softmax(-1), made.alpha


def requests(draws: int, tokens: int) -> list[Request]:
    return [
        Request(
            PROMPTS[0],
            alpha,
            Sampling(seed=seed, temperature=temperature),
            tokens,
            nets=nets,
        )
        for seed in range(draws)
        for alpha, temperature, nets in ASKED
    ]


async def test_drawn_as_defined_and_weighted_without_bias(
    spec: PairSpec, pair: Pair
) -> None:
    draws = 800
    asked = requests(draws, 2)
    engine = TransformersEngine(spec, max_batch=256)
    try:
        completions = await run(engine, asked)
    finally:
        engine.close()
    for offset, one in enumerate(asked[: len(ASKED)]):
        here = completions[offset :: len(ASKED)]
        p, _ = exact(pair, PROMPTS[0], one)
        drawn = torch.tensor([c.tokens[0] for c in here])
        counts = torch.bincount(drawn, minlength=len(p)).double()
        assert not counts[p == 0].any()
        rare = p * draws < 5
        observed = [*counts[~rare].tolist(), float(counts[rare].sum())]
        expected = [*(p[~rare] * draws).tolist(), float(p[rare].sum()) * draws]
        assert stats.chisquare(observed, expected).pvalue > 1e-4, one.nets
        weights = torch.tensor([math.exp(told(c).log_weight) for c in here])
        mean, error = float(weights.mean()), float(weights.std()) / math.sqrt(draws)
        if one.nets == FLOOR:
            assert mean < 1 - 4 * error
            assert nets_of(here[0]).lower_bound
        elif one.alpha > 0:
            assert mean == pytest.approx(1, abs=5 * error + 1e-9), one.nets
            assert one.nets == Nets() or not nets_of(here[0]).lower_bound


async def test_the_evidence_is_what_float64_says(
    engine: TransformersEngine, pair: Pair
) -> None:
    asked = Request(PROMPTS[1], 2.0, Sampling(seed=4), 5, top_logprobs=20, nets=MANY)
    got = await engine.generate(asked)
    evidence, found = told(got), nets_of(got)
    assert evidence.per_token is not None
    log_q = evidence.per_token.unpack()["log_q"]
    ids, left = list(asked.prompt), []
    for index, token in enumerate(got.tokens):
        p, alpha = exact(pair, ids, asked, index)
        assert log_q[index] == pytest.approx(float(p[token].log()), abs=5e-3)
        left.append(alpha)
        ids.append(token)
    assert found.alpha_mean == pytest.approx(sum(left) / 5, rel=5e-3)
    assert found.steps["first_k"] == 3
    assert found.steps["alpha_schedule"] == found.steps["soft_threshold"] == 2
    assert set(found.settings) == set(vars(MANY)) - {"plausibility"}
    assert found.settings["max_kl_per_token"] == 0.4
    columns = evidence.per_token.unpack()
    assert columns["log_q"][2:] == columns["log_p_after"][2:]


async def test_a_row_does_not_depend_on_the_batch(engine: TransformersEngine) -> None:
    wanted = replace(request(PROMPTS[1], 4.0, 12, Sampling(seed=11)), nets=TIGHT)
    alone = await engine.generate(wanted)
    crowd = [
        replace(one, prompt=PROMPTS[2], support=support)
        for one, support in zip(requests(1, 9), (0, 9, 0, 5, 0, 30, 0), strict=True)
    ]
    free = replace(wanted, nets=Nets())
    first, *_, last, other = await run(engine, [wanted, *crowd, wanted, free])
    assert first.tokens == last.tokens == alone.tokens != other.tokens
    assert told(other).nets is None
    assert told(first).log_q == pytest.approx(told(alone).log_q, abs=1e-3)


async def test_alpha_0_and_minus_1_are_left_alone(engine: TransformersEngine) -> None:
    for alpha in (0.0, -1.0):
        plain = request(PROMPTS[0], alpha, 10, Sampling(seed=2))
        nets = replace(MANY, plausibility=0.5)
        one, other = await run(engine, [plain, replace(plain, nets=nets)])
        assert one.tokens == other.tokens
        assert told(one).log_q == told(other).log_q
        assert nets_of(other).steps == {}
        assert nets_of(other).alpha_mean == alpha


@pytest.mark.parametrize("placebo", [False, True])
async def test_the_first_tokens_alone_are_amplified(
    engine: TransformersEngine, placebo: bool
) -> None:
    asked = replace(
        request(PROMPTS[0], 3.0, 8, Sampling(seed=5)),
        nets=Nets(first_k=3),
        placebo=placebo,
        support=40,
    )
    got = await engine.generate(asked)
    evidence = told(got)
    assert evidence.per_token is not None
    columns = evidence.per_token.unpack()
    assert columns["log_q"][3:] == columns["log_p_after"][3:]
    assert columns["log_q"][:3] != columns["log_p_after"][:3]
    assert nets_of(got).steps == {"first_k": 5}
    assert nets_of(got).alpha_mean == pytest.approx(3 * 3 / 8)


@pytest.mark.parametrize(
    "nets", [TIGHT, MANY, FLOOR, Nets(soft_threshold=0.6)], ids=str
)
async def test_a_score_is_under_the_nets(
    engine: TransformersEngine, pair: Pair, nets: Nets
) -> None:
    alphas, continuation = (-3.0, -1.0, 0.0, 2.0), (20, 21, 22)
    asked = ScoreRequest(PROMPTS[0], continuation, alphas, 0.8, nets=nets)
    scored = await engine.score(asked)
    for row, alpha in zip(scored.log_q, alphas, strict=True):
        for step, token in enumerate(continuation):
            one = Request((), alpha, Sampling(temperature=0.8), 1, nets=nets)
            ids = [*PROMPTS[0], *continuation[:step]]
            expected = float(exact(pair, ids, one, step)[0][token].log())
            assert row[step] == pytest.approx(expected, abs=5e-3), (alpha, step)
    assert (scored.log_p_before, scored.log_p_after) == scored.log_q[1:3]


async def test_nets_and_a_support_in_lockstep(tmp_path: Path) -> None:
    pair = hybrid_pair("lfm2", tmp_path)
    engine = TransformersEngine(pair.spec, max_batch=3)
    asked = [
        replace(request(prompt, 3.0, 6), nets=TIGHT, support=support)
        for prompt, support in zip(PROMPTS, (0, 5, 97), strict=True)
    ]
    try:
        got = await run(engine, asked)
    finally:
        engine.close()
    for one, completion in zip(asked, got, strict=True):
        ids = list(one.prompt)
        for step, token in enumerate(completion.tokens):
            after, before = (
                reference_logits(pair.after, pair.before, ids, alpha)
                for alpha in (0.0, -1.0)
            )
            kept = after.topk(one.support or len(after)).indices
            made = held(after[kept], before[kept], 3.0, TIGHT, step)
            biased = made.logits - 100 * (kept == 1).double()
            assert token == int(kept[biased.argmax()])
            ids.append(token)
        assert nets_of(completion).steps["max_kl_per_token"] > 0
