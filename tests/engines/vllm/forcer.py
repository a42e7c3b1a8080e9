"""Given tokens that the pair scores, held against the transformers engine."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from inspect_lda.engines.base import Nets, Sampling, Scored, ScoreRequest
from inspect_lda.engines.vllm.draw import (
    columns,
    draw_of_score,
    read_step,
    scored_of,
)
from inspect_lda.pair import PairSpec
from tests.engines.vllm.drawer import apart, read_all

KINDS: tuple[dict[str, Any], ...] = (
    {},
    {"temperature": 0.7, "nets": Nets(first_k=2, max_kl_per_token=0.1)},
    {"support": 9},
    {"sampling": Sampling(top_k=20, presence_penalty=0.5), "curves": (0.0, 2.0)},
)


def requests(count: int, seed: int = 0, vocabulary: int = 97) -> list[ScoreRequest]:
    """Scores of all kinds, some behind the same prompt."""
    numbers = np.random.default_rng(seed)

    def ids(length: int) -> tuple[int, ...]:
        return tuple(int(one) for one in numbers.integers(4, vocabulary, length))

    common = ids(70)
    return [
        ScoreRequest(
            prompt=common if i % 2 else ids(int(numbers.integers(3, 100))),
            continuation=ids(int(numbers.integers(1, 30))),
            alphas=(0.0, 0.5, -1.0, 3.0, -0.5),
            **KINDS[i % len(KINDS)],
        )
        for i in range(count)
    ]


def score(llm: Any, asked: Sequence[ScoreRequest]) -> list[Scored]:
    """Score every continuation in one pass, as the end of a prompt."""
    from vllm import SamplingParams

    whole = [{"prompt_token_ids": [*one.prompt, *one.continuation]} for one in asked]
    draws = [draw_of_score(one) for one in asked]
    params = [
        SamplingParams(
            temperature=0,
            max_tokens=1,
            detokenize=False,
            prompt_logprobs=len(columns(draw)),
            extra_args=draw.extra_args(0.0),
        )
        for draw in draws
    ]
    found = []
    outputs = llm.generate(whole, params, use_tqdm=False)
    for one, draw, output in zip(asked, draws, outputs, strict=True):
        tail = output.prompt_logprobs[len(one.prompt) :]
        said = [
            read_step(draw, token, {id: at.logprob for id, at in step.items()})
            for token, step in zip(one.continuation, tail, strict=True)
        ]
        found.append(scored_of(draw, said))
    return found


def follow(llm: Any, asked: Sequence[ScoreRequest]) -> list[Scored]:
    """Score every continuation a step a token."""
    from vllm import SamplingParams

    draws = [draw_of_score(one) for one in asked]
    params = [
        SamplingParams(
            temperature=0,
            max_tokens=len(one.continuation),
            ignore_eos=True,
            detokenize=False,
            logprobs=len(columns(draw)),
            extra_args=draw.extra_args(0.0),
        )
        for one, draw in zip(asked, draws, strict=True)
    ]
    prompts = [{"prompt_token_ids": list(one.prompt)} for one in asked]
    outputs = llm.generate(prompts, params, use_tqdm=False)
    return [
        scored_of(draw, read_all(draw, output.outputs[0]))
        for draw, output in zip(draws, outputs, strict=True)
    ]


def expected(spec: PairSpec, asked: Sequence[ScoreRequest]) -> list[Scored]:
    """The answers of the transformers engine."""
    from inspect_lda.engines.transformers import TransformersEngine

    engine = TransformersEngine(spec)

    async def run() -> list[Scored]:
        return list(await asyncio.gather(*map(engine.score, asked)))

    try:
        return asyncio.run(run())
    finally:
        engine.close()


def error(found: Sequence[Scored], right: Sequence[Scored]) -> float:
    """The largest difference; infinite if they do not answer the same."""
    return max(
        apart(asdict(one), asdict(other))
        for one, other in zip(found, right, strict=True)
    )
