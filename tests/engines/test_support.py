"""A support in the engine: exact per row, whatever else is in the batch."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import Tensor

from inspect_lda.engines.base import Completion, Request, Sampling, ScoreRequest
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.evidence import SupportEvidence
from inspect_lda.pair import Pair, PairSpec
from tests.engines.reference import reference_logits
from tests.engines.requests import PROMPTS, request, run, told

K = 12


def supported(completion: Completion) -> SupportEvidence:
    """The evidence of a rollout that had a support."""
    found = told(completion).support
    assert found is not None
    return found


def exact(
    pair: Pair, ids: Sequence[int], alpha: float, k: int = K, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Probabilities `[V]` on the support, and whether ids are in it."""
    after = reference_logits(pair.after, pair.before, ids, 0.0)
    inside = after >= after.sort(descending=True).values[k - 1]
    logits = reference_logits(pair.after, pair.before, ids, alpha).double()
    cut = (logits / temperature).masked_fill(~inside, -math.inf)
    return cut.softmax(-1), inside


async def test_drawn_as_the_support_says_in_a_mixed_batch(
    spec: PairSpec, pair: Pair
) -> None:
    settings = [(1.0, K, 1.0), (-1.0, K, 0.7), (0.0, 5, 1.0), (3.0, 97, 1.3)]
    draws = 1200
    engine = TransformersEngine(spec, max_batch=256)
    requests = [
        Request(
            PROMPTS[0],
            alpha,
            Sampling(seed=seed, temperature=temperature),
            max_tokens=1,
            support=k,
        )
        for seed in range(draws)
        for alpha, k, temperature in settings
    ]
    try:
        completions = await run(engine, requests)
    finally:
        engine.close()
    for offset, (alpha, k, temperature) in enumerate(settings):
        drawn = [c.tokens[0] for c in completions[offset :: len(settings)]]
        p, _ = exact(pair, PROMPTS[0], alpha, k, temperature)
        counts = torch.bincount(torch.tensor(drawn), minlength=len(p)).double()
        assert not counts[p == 0].any()
        rare = p * draws < 5
        observed = [*counts[~rare].tolist(), float(counts[rare].sum())]
        expected = [*(p[~rare] * draws).tolist(), float(p[rare].sum()) * draws]
        if expected[-1] == 0:
            observed, expected = observed[:-1], expected[:-1]
        assert stats.chisquare(observed, expected).pvalue > 1e-4, (alpha, k)


async def test_the_evidence_is_that_of_float64(
    engine: TransformersEngine, pair: Pair
) -> None:
    asked = Request(PROMPTS[1], 2.0, Sampling(seed=4), 6, top_logprobs=20, support=K)
    got = await engine.generate(asked)
    evidence, found = told(got), supported(got)
    assert evidence.per_token is not None
    columns = evidence.per_token.unpack()
    tails, lost, ids = [], [], list(asked.prompt)
    assert got.logprobs is not None
    for index, (token, shown) in enumerate(zip(got.tokens, got.logprobs, strict=True)):
        for name, alpha in (
            ("log_q", 2.0),
            ("log_p_after", 0.0),
            ("log_p_before", -1.0),
        ):
            p, inside = exact(pair, ids, alpha)
            expected = float(p[token].log())
            assert columns[name][index] == pytest.approx(expected, abs=1e-4)
        possible = [q for _, q, _, _ in shown.top if q > -math.inf]
        assert len(possible) == K
        assert math.fsum(map(math.exp, possible)) == pytest.approx(1, abs=1e-5)
        free = [
            reference_logits(pair.after, pair.before, ids, alpha).double().softmax(-1)
            for alpha in (0.0, 2.0)
        ]
        tails.append(float(free[0][~inside].sum()))
        lost.append(float(free[1][~inside].sum()))
        ids.append(token)
    assert (found.k, found.exact, found.audits, found.audit_tv) == (K, True, 0, None)
    assert found.tail_mean == pytest.approx(sum(tails) / 6, abs=1e-5)
    assert found.tail_max == pytest.approx(max(tails), abs=1e-5)
    assert found.lost_mean == pytest.approx(sum(lost) / 6, abs=1e-5)
    assert found.lost_max == pytest.approx(max(lost), abs=1e-5)
    assert found.lost_max > 0.01


async def test_a_row_does_not_depend_on_the_batch(engine: TransformersEngine) -> None:
    wanted = replace(request(PROMPTS[1], 1.5, 15, Sampling(seed=11)), support=K)
    alone = await engine.generate(wanted)
    crowd = [
        replace(request(PROMPTS[0], 4.0, steps, Sampling(seed=steps)), support=k)
        for steps, k in ((3, 0), (9, 2), (5, 50))
    ]
    free = replace(wanted, support=0)
    first, *_, last, other = await run(engine, [wanted, *crowd, wanted, free])
    assert first.tokens == last.tokens == alone.tokens
    assert told(other).support is None
    assert other.tokens != alone.tokens
    everything = replace(wanted, support=10**9)
    assert (await engine.generate(everything)).tokens == other.tokens


async def test_alpha_0_and_minus_1_are_the_checkpoints_on_the_support(
    engine: TransformersEngine,
) -> None:
    rule = Sampling(seed=3, temperature=1.4, top_p=0.9, frequency_penalty=1)
    at_after, at_before = await run(
        engine, [Request(PROMPTS[0], a, rule, 12, support=K) for a in (0.0, -1.0)]
    )
    assert told(at_after).log_weight == 0
    assert told(at_before).log_p_before == told(at_before).log_q


async def test_weights_are_unbiased_for_after_on_the_support(
    spec: PairSpec, pair: Pair
) -> None:
    engine = TransformersEngine(spec, max_batch=256)
    requests = [
        Request(PROMPTS[0], 0.4, Sampling(seed=seed), max_tokens=2, support=K)
        for seed in range(1500)
    ]
    try:
        completions = await run(engine, requests)
    finally:
        engine.close()
    p, _ = exact(pair, PROMPTS[0], 0.0)
    first = int(p.argmax())
    weights = torch.tensor([math.exp(told(c).log_weight) for c in completions])
    hits = weights * torch.tensor([float(c.tokens[0] == first) for c in completions])
    for values, truth in ((weights, 1.0), (hits, float(p[first]))):
        error = float(values.std()) / math.sqrt(len(values))
        assert float(values.mean()) == pytest.approx(truth, abs=4 * error)


async def test_a_score_is_under_the_support(
    engine: TransformersEngine, pair: Pair
) -> None:
    alphas = (-1.0, 0.0, 2.0)
    p, inside = exact(pair, PROMPTS[0], 0.0)
    listed, other = int(p.argmax()), int((~inside).nonzero()[0])
    asked = ScoreRequest(PROMPTS[0], (listed, 20), alphas, 0.8, support=K)
    scored = await engine.score(asked)
    for row, alpha in zip(scored.log_q, alphas, strict=True):
        for step, token in enumerate((listed, 20)):
            ids = [*PROMPTS[0], listed][: len(PROMPTS[0]) + step]
            expected = float(exact(pair, ids, alpha, K, 0.8)[0][token].log())
            assert row[step] == pytest.approx(expected, abs=1e-3)
    assert (scored.log_p_before, scored.log_p_after) == scored.log_q[:2]
    missed = await engine.score(replace(asked, continuation=(other,)))
    assert {value for row in missed.log_q for value in row} == {-math.inf}
