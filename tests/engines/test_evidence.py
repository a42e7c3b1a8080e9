"""Evidence: exact per token, unbiased as a weight; sampling exact per row."""

import math
from dataclasses import replace

import pytest
import torch
from scipy import stats

from inspect_lda.engines.base import (
    Request,
    Sampling,
)
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.pair import Pair, PairSpec
from tests.engines.reference import reference_logits
from tests.engines.requests import PROMPTS, request, run, told


async def test_sampled_distribution_is_exact_per_row_in_a_mixed_batch(
    spec: PairSpec, pair: Pair
) -> None:
    settings = [
        (0.0, Sampling(temperature=0.7)),
        (-1.0, Sampling()),
        (2.0, Sampling(temperature=1.3)),
        (0.5, Sampling(top_k=12)),
        (0.5, Sampling(top_p=0.8)),
        (0.5, Sampling(top_p=0.8, temperature=2.0)),
        (-0.5, Sampling(min_p=0.05)),
    ]
    draws = 1500
    engine = TransformersEngine(spec, max_batch=256)
    requests = [
        Request(PROMPTS[0], alpha, replace(sampling, seed=seed), max_tokens=1)
        for seed in range(draws)
        for alpha, sampling in settings
    ]
    try:
        completions = await run(engine, requests)
    finally:
        engine.close()
    for offset, (alpha, sampling) in enumerate(settings):
        tokens = torch.tensor(
            [c.tokens[0] for c in completions[offset :: len(settings)]]
        )
        exact = _exact(pair, alpha, sampling)
        counts = torch.bincount(tokens, minlength=len(exact)).double()
        assert counts[exact == 0].sum() == 0
        rare = exact * draws < 5
        observed = [*counts[~rare].tolist(), float(counts[rare].sum())]
        expected = [*(exact[~rare] * draws).tolist(), float(exact[rare].sum()) * draws]
        if expected[-1] == 0:
            observed, expected = observed[:-1], expected[:-1]
        assert stats.chisquare(observed, expected).pvalue > 1e-4, (alpha, sampling)


def _exact(pair: Pair, alpha: float, sampling: Sampling) -> torch.Tensor:
    logits = reference_logits(pair.after, pair.before, PROMPTS[0], alpha).double()
    p = (logits / sampling.temperature).softmax(-1)
    order = p.argsort(descending=True)
    keep = torch.ones_like(p, dtype=torch.bool)
    if sampling.top_k:
        keep[order[sampling.top_k :]] = False
    if sampling.top_p < 1:
        before = p[order].cumsum(-1) - p[order]
        keep[order[before >= sampling.top_p]] = False
    keep &= p >= sampling.min_p * p.max()
    p = torch.where(keep, p, 0.0)
    return p / p.sum()


async def test_evidence_is_what_the_reference_says(
    engine: TransformersEngine, pair: Pair
) -> None:
    asked = request(PROMPTS[1], 0.8, 6, Sampling(temperature=0.9, seed=3))
    asked = replace(asked, sampling=replace(asked.sampling, logit_bias={}))
    got = await engine.generate(asked)
    evidence = told(got)
    assert evidence.per_token is not None
    columns = evidence.per_token.unpack()
    ids = list(asked.prompt)
    kl = []
    for index, token in enumerate(got.tokens):
        after, before, q = (
            (reference_logits(pair.after, pair.before, ids, alpha) / 0.9).log_softmax(
                -1
            )
            for alpha in (0.0, -1.0, 0.8)
        )
        assert columns["ids"][index] == token
        assert columns["log_p_after"][index] == pytest.approx(
            float(after[token]), abs=1e-4
        )
        assert columns["log_p_before"][index] == pytest.approx(
            float(before[token]), abs=1e-4
        )
        assert columns["log_q"][index] == pytest.approx(float(q[token]), abs=1e-4)
        kl.append(float((after.exp() * (after - before)).sum()))
        ids.append(token)
    assert evidence.n_tokens == len(got.tokens)
    assert evidence.kl_max == pytest.approx(max(kl), abs=1e-4)
    assert evidence.kl_mean == pytest.approx(sum(kl) / len(kl), abs=1e-4)
    assert evidence.log_q == pytest.approx(sum(columns["log_q"]), abs=1e-3)
    assert evidence.precision == "float32"


async def test_weights_are_one_at_alpha_zero_and_unbiased_above(
    spec: PairSpec, pair: Pair
) -> None:
    engine = TransformersEngine(spec, max_batch=256)
    requests = [
        Request(PROMPTS[0], alpha, Sampling(seed=seed), max_tokens=2)
        for seed in range(2000)
        for alpha in (0.0, 0.3)
    ]
    try:
        completions = await run(engine, requests)
    finally:
        engine.close()
    plain, amplified = completions[::2], completions[1::2]
    assert all(told(c).log_weight == 0 for c in plain)
    weights = torch.tensor([math.exp(told(c).log_weight) for c in amplified])
    assert float(weights.mean()) == pytest.approx(
        1, abs=4 * float(weights.std()) / math.sqrt(len(weights))
    )
    first = int(_exact(pair, 0.0, Sampling()).argmax())
    hits = torch.tensor([float(c.tokens[0] == first) for c in amplified])
    estimate = (weights * hits).mean()
    error = float((weights * hits).std()) / math.sqrt(len(weights))
    truth = float(_exact(pair, 0.0, Sampling())[first])
    assert float(estimate) == pytest.approx(truth, abs=4 * error)


TRUNCATED = Sampling(
    temperature=1.4, top_k=20, top_p=0.9, frequency_penalty=1, logit_bias={7: 3.0}
)


async def test_references_are_under_the_request_s_own_sampling(
    engine: TransformersEngine,
) -> None:
    after, before = [
        Request(PROMPTS[0], alpha, replace(TRUNCATED, seed=3), max_tokens=15)
        for alpha in (0.0, -1.0)
    ]
    at_after, at_before = await run(engine, [after, before])
    assert told(at_after).log_q is not None
    assert told(at_after).log_p_after == told(at_after).log_q
    assert told(at_before).log_q is not None
    assert told(at_before).log_p_before == told(at_before).log_q
    assert told(at_before).log_p_after != told(at_before).log_q


async def test_an_identity_pair_has_one_probability_at_every_alpha(
    spec: PairSpec,
) -> None:
    engine = TransformersEngine(replace(spec, before=spec.after))
    asked = Request(PROMPTS[0], 5.0, replace(TRUNCATED, seed=3), max_tokens=15)
    try:
        evidence = told(await engine.generate(asked))
    finally:
        engine.close()
    # Both halves are one tensor: a bias must not fall on it twice.
    assert evidence.log_q is not None
    assert evidence.log_p_before == pytest.approx(evidence.log_q, abs=1e-4)
    assert evidence.log_p_after == pytest.approx(evidence.log_q, abs=1e-4)


async def test_a_greedy_draw_is_certain(engine: TransformersEngine) -> None:
    evidence = told(await engine.generate(request(PROMPTS[0], 1.0, 5)))
    assert evidence.log_q == 0
    assert evidence.log_p_after is not None
    assert evidence.log_p_after < 0


async def test_top_logprobs_are_of_the_sampled_token(
    engine: TransformersEngine, pair: Pair
) -> None:
    asked = replace(request(sampling=Sampling(seed=5), max_tokens=4), top_logprobs=3)
    got = await engine.generate(asked)
    assert got.logprobs is not None
    assert [entry.token for entry in got.logprobs] == list(got.tokens)
    for entry in got.logprobs:
        values = [q for _, q, _, _ in entry.top]
        assert len(values) == 3
        assert values == sorted(values, reverse=True)
        assert entry.logprob <= values[0]


async def test_a_token_outside_the_references_nucleus_is_still_readable(
    spec: PairSpec, pair: Pair
) -> None:
    """top_k 1 at large alpha: `after` itself would never have said the token."""
    engine = TransformersEngine(spec)
    try:
        got = await engine.generate(
            Request(PROMPTS[0], 30.0, Sampling(top_k=1), max_tokens=1)
        )
    finally:
        engine.close()
    token = got.tokens[0]
    log_after = reference_logits(pair.after, pair.before, PROMPTS[0], 0.0).log_softmax(
        -1
    )
    assert token != int(log_after.argmax())
    evidence = told(got)
    assert evidence.log_p_after is None
    assert evidence.log_weight == -math.inf
    assert evidence.log_p_plain == pytest.approx(float(log_after[token]), abs=1e-4)
    assert evidence.surprise == pytest.approx(-float(log_after[token]), abs=1e-4)
    assert evidence.decisive[0].id == token
