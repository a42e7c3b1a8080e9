"""Requests that the engine tests share."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import torch

from inspect_lda.engines.base import Completion, Request, Sampling
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.evidence import Evidence
from tests.engines.reference import argmax
from tests.tiny import EOS

GREEDY = Sampling(temperature=0)
NO_EOS = {EOS: -100.0}
PROMPTS = ((5, 9, 33, 12), (7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17), (40,))


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


def told(completion: Completion) -> Evidence:
    """The evidence that a request asked for."""
    assert completion.evidence is not None
    return completion.evidence
