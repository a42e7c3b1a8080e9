"""The engine: per-row settings in one batch, rolling rows, evidence, scoring."""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
import torch
from scipy import stats

from inspect_lda.engines.base import (
    Completion,
    EngineError,
    Request,
    Sampling,
    ScoreRequest,
)
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.pair import Pair, PairSpec
from tests.engines.reference import argmax, reference_decode, reference_logits
from tests.tiny import ARCHITECTURES, EOS, save_checkpoint, tiny_model, tiny_tokenizer

EMBEDDING = "model.embed_tokens.weight"
GREEDY = Sampling(temperature=0)
NO_EOS = {EOS: -100.0}
PROMPTS = ((5, 9, 33, 12), (7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17), (40,))


@pytest_asyncio.fixture
async def engine(spec: PairSpec) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(spec, max_batch=4)
    yield engine
    engine.close()


def request(
    prompt: Sequence[int] = PROMPTS[0],
    alpha: float = 1.0,
    max_tokens: int = 12,
    sampling: Sampling = GREEDY,
) -> Request:
    bias = {**NO_EOS, **sampling.logit_bias}
    return Request(
        prompt=tuple(prompt),
        alpha=alpha,
        sampling=replace(sampling, logit_bias=bias),
        max_tokens=max_tokens,
    )


async def run(
    engine: TransformersEngine, requests: Sequence[Request]
) -> list[Completion]:
    return list(await asyncio.gather(*map(engine.generate, requests)))


def no_eos(logits: torch.Tensor) -> int:
    logits = logits.clone()
    logits[EOS] -= 100
    return argmax(logits)


async def test_greedy_tokens_equal_the_reference_in_a_rolling_batch(
    engine: TransformersEngine, pair: Pair
) -> None:
    requests = [
        request(prompt, alpha, max_tokens)
        for (prompt, alpha), max_tokens in zip(
            itertools.product(PROMPTS, (-2.0, -1.0, 0.0, 0.3, 3.0)),
            itertools.cycle((3, 17, 9, 25)),
            strict=False,
        )
    ]
    for asked, got in zip(requests, await run(engine, requests), strict=True):
        expected = reference_decode(
            pair.after, pair.before, asked.prompt, asked.alpha, asked.max_tokens, no_eos
        )
        assert list(got.tokens) == expected
        assert got.stop_reason == "max_tokens"


@pytest.mark.parametrize("arch", ARCHITECTURES)
async def test_every_architecture_rolls(arch: str, tmp_path: Path) -> None:
    models = {"after": tiny_model(arch, seed=1), "before": tiny_model(arch, seed=2)}
    for name, model in models.items():
        save_checkpoint(tmp_path / name, model, tiny_tokenizer())
    engine = TransformersEngine(
        PairSpec(after=f"{tmp_path}/after", before=f"{tmp_path}/before"), max_batch=2
    )
    requests = [
        request(prompt, alpha, steps)
        for prompt, alpha, steps in zip(
            PROMPTS * 2,
            (0.3, 1.0, 3.0, 0.0, -1.0, -0.5),
            (20, 4, 9, 5, 14, 3),
            strict=True,
        )
    ]
    try:
        completions = await run(engine, requests)
    finally:
        engine.close()
    for asked, got in zip(requests, completions, strict=True):
        expected = reference_decode(
            models["after"],
            models["before"],
            asked.prompt,
            asked.alpha,
            asked.max_tokens,
            no_eos,
        )
        assert list(got.tokens) == expected


async def test_text_does_not_depend_on_the_batch(engine: TransformersEngine) -> None:
    wanted = request(PROMPTS[1], 1.5, 20, Sampling(seed=11))
    alone = await engine.generate(wanted)
    noise = [
        request(prompt, alpha, steps, Sampling(seed=seed, temperature=2.0))
        for seed, (prompt, alpha, steps) in enumerate(
            itertools.product(PROMPTS, (0.0, 4.0), (3, 11))
        )
    ]
    for position in (0, 5, len(noise)):
        crowd = [*noise[:position], wanted, *noise[position:]]
        assert (await run(engine, crowd))[position].tokens == alone.tokens


async def test_sampled_distribution_is_exact_per_row_in_a_mixed_batch(
    spec: PairSpec, pair: Pair
) -> None:
    settings = [
        (0.0, Sampling(temperature=0.7)),
        (-1.0, Sampling()),
        (2.0, Sampling(temperature=1.3)),
        (0.5, Sampling(top_k=12)),
        (0.5, Sampling(top_p=0.8)),
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
    evidence = got.evidence
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
    assert all(c.evidence.log_weight == 0 for c in plain)
    weights = torch.tensor([math.exp(c.evidence.log_weight) for c in amplified])
    assert float(weights.mean()) == pytest.approx(
        1, abs=4 * float(weights.std()) / math.sqrt(len(weights))
    )
    first = int(_exact(pair, 0.0, Sampling()).argmax())
    hits = torch.tensor([float(c.tokens[0] == first) for c in amplified])
    estimate = (weights * hits).mean()
    error = float((weights * hits).std()) / math.sqrt(len(weights))
    truth = float(_exact(pair, 0.0, Sampling())[first])
    assert float(estimate) == pytest.approx(truth, abs=4 * error)


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


async def test_end_of_turn_stops_and_is_counted(engine: TransformersEngine) -> None:
    asked = Request(PROMPTS[0], 0.0, Sampling(logit_bias={EOS: 100.0}), max_tokens=9)
    got = await engine.generate(asked)
    assert got.tokens == (EOS,)
    assert got.stop_reason == "stop"
    assert got.evidence.n_tokens == 1


async def test_stop_strings_are_per_row(engine: TransformersEngine, pair: Pair) -> None:
    plain = (await run(engine, [request(PROMPTS[2], 0.5, 20)]))[0]
    text = str(pair.tokenizer.decode(list(plain.tokens)))
    stop = text[6:9]
    stopping = replace(request(PROMPTS[2], 0.5, 20), stop=(stop,))
    free, stopped = await run(engine, [request(PROMPTS[2], 0.5, 20), stopping])
    assert free.tokens == plain.tokens
    assert stopped.stop_reason == "stop"
    kept = str(pair.tokenizer.decode(list(stopped.tokens)))
    assert stop in kept
    assert text.startswith(kept)
    assert len(kept) < len(text)


async def test_context_window_is_respected(engine: TransformersEngine) -> None:
    full = await engine.generate(request([5] * 256, max_tokens=5))
    assert (full.stop_reason, full.tokens) == ("model_length", ())
    nearly = await engine.generate(request([5] * 250, max_tokens=50))
    assert nearly.stop_reason == "model_length"
    assert len(nearly.tokens) == 6


async def test_cancelled_requests_leave_the_batch(engine: TransformersEngine) -> None:
    long = [asyncio.create_task(engine.generate(request(max_tokens=200)))] * 1
    short = asyncio.create_task(engine.generate(request(PROMPTS[1], 0.3, 8)))
    await asyncio.sleep(0.05)
    long[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await long[0]
    assert (await short).stop_reason == "max_tokens"
    assert (await engine.generate(request(max_tokens=2))).stop_reason == "max_tokens"


async def test_event_loop_stays_free(engine: TransformersEngine) -> None:
    await engine.pair()
    task = asyncio.create_task(engine.generate(request(max_tokens=150)))
    ticks = 0
    while not task.done():
        await asyncio.sleep(0.001)
        ticks += 1
    assert ticks > 20


async def test_an_engine_error_reaches_every_waiting_request(spec: PairSpec) -> None:
    broken = TransformersEngine(replace(spec, after=spec.after + "-missing"))
    try:
        results = await asyncio.gather(
            broken.generate(request()),
            broken.generate(request(PROMPTS[1])),
            return_exceptions=True,
        )
    finally:
        broken.close()
    assert all(isinstance(r, ValueError) and "missing" in str(r) for r in results)


async def test_empty_prompt_and_closed_engine_are_errors(spec: PairSpec) -> None:
    engine = TransformersEngine(spec)
    with pytest.raises(EngineError, match="no tokens"):
        await engine.generate(replace(request(), prompt=()))
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        await engine.generate(request())


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


async def test_nan_logits_are_an_error_not_a_token(tmp_path: Path) -> None:
    model = tiny_model(seed=1)
    with torch.no_grad():
        # A damage that no check at load sees: one token of the prompt.
        dict(model.named_parameters())[EMBEDDING][PROMPTS[0][0]] = math.nan
    save_checkpoint(tmp_path / "after", model, tiny_tokenizer())
    save_checkpoint(
        tmp_path / "before",
        tiny_model(seed=2),
        tiny_tokenizer(),
    )
    engine = TransformersEngine(
        PairSpec(after=f"{tmp_path}/after", before=f"{tmp_path}/before")
    )
    try:
        with pytest.raises(EngineError, match="no usable token"):
            await engine.generate(request())
    finally:
        engine.close()
