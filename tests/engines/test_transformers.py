"""The engine: per-row settings in one batch, rolling rows, evidence, scoring."""

import asyncio
import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inspect_lda.engines.base import (
    EngineError,
    Request,
    Sampling,
)
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.pair import Pair, PairSpec
from tests.engines.reference import reference_decode
from tests.engines.requests import PROMPTS, no_eos, request, run, told
from tests.tiny import ARCHITECTURES, EOS, save_checkpoint, tiny_model, tiny_tokenizer

EMBEDDING = "model.embed_tokens.weight"


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


async def test_end_of_turn_stops_and_is_counted(engine: TransformersEngine) -> None:
    asked = Request(PROMPTS[0], 0.0, Sampling(logit_bias={EOS: 100.0}), max_tokens=9)
    got = await engine.generate(asked)
    assert got.tokens == (EOS,)
    assert got.stop_reason == "stop"
    assert told(got).n_tokens == 1


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
