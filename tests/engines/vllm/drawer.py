"""Requests whose tokens the pair draws, held against the transformers engine."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from inspect_lda.engines.base import (
    NO_NETS,
    Completion,
    Nets,
    Request,
    Sampling,
    TokenLogprobs,
)
from inspect_lda.engines.rows import Decoding, RowState
from inspect_lda.engines.vllm.draw import Draw, Drawn, columns, draw_of, read_step
from inspect_lda.engines.vllm.drawing import Drawing
from inspect_lda.engines.vllm.slots import Slot
from inspect_lda.evidence import Evidence
from inspect_lda.pair import Pair, PairSpec
from tests.engines.vllm.oracle import Written

ALPHAS = (0.0, 0.3, 1.0, -1.0, 3.0, -0.5, 20.0, -2.0)
SAMPLINGS = (
    Sampling(),
    Sampling(temperature=0),
    Sampling(temperature=0.7, top_k=12),
    Sampling(top_p=0.8),
    Sampling(temperature=1.3, min_p=0.05),
    Sampling(temperature=0.9, top_k=30, top_p=0.95, logit_bias={7: 2.0, 11: -100.0}),
)
NETS = (
    NO_NETS,
    NO_NETS,
    Nets(max_kl_per_token=0.05),
    Nets(first_k=3, plausibility=0.01),
    Nets(soft_threshold=0.1, alpha_schedule=((0, 1.0), (5, 0.5))),
    Nets(kl_gate=0.01),
)

ROUNDING = 2e-4
"""Logits of two engines may differ by this."""


@dataclass
class Report:
    """How drawn tokens and their evidence compare with the transformers engine's."""

    tokens: int = 0
    mismatches: int = 0
    ties: int = 0
    error: float = 0.0
    extreme_error: float = 0.0

    def json(self) -> dict[str, float]:
        """All of it, for another process."""
        return asdict(self)


def requests(
    count: int, seed: int = 0, vocabulary: int = 97, most: int = 24
) -> list[Request]:
    """Requests of all kinds, every second one behind a common beginning."""
    numbers = np.random.default_rng(seed)

    def ids(length: int) -> tuple[int, ...]:
        return tuple(int(one) for one in numbers.integers(4, vocabulary, length))

    common = ids(48)
    return [
        Request(
            prompt=(common if i % 2 else ()) + ids(int(numbers.integers(3, 120))),
            alpha=ALPHAS[i % len(ALPHAS)],
            sampling=replace(
                SAMPLINGS[(i + i // 8) % len(SAMPLINGS)],
                seed=int(numbers.integers(2**62)),
            ),
            max_tokens=int(numbers.integers(most // 2, most + 1)),
            top_logprobs=2 if i % 5 == 0 else None,
            placebo=i % 11 == 3,
            support=8 if i % 3 == 2 else 0,
            nets=NETS[(i // 2) % len(NETS)],
            also=(0.0, 0.5, 2.0) if i % 4 == 1 else (),
        )
        for i in range(count)
    ]


def params(request: Request) -> Any:
    """What vLLM is sent."""
    from vllm import SamplingParams

    draw = draw_of(request)
    return SamplingParams(
        temperature=0,
        max_tokens=request.max_tokens,
        ignore_eos=True,
        detokenize=False,
        logprobs=len(columns(draw)),
        extra_args=draw.extra_args(request.alpha),
    )


def draw(llm: Any, asked: Sequence[Request]) -> list[list[Drawn]]:
    """Make requests all at once and read every token."""
    outputs = llm.generate(prompts(asked), [*map(params, asked)], use_tqdm=False)
    return [
        read_all(draw_of(one), output.outputs[0])
        for one, output in zip(asked, outputs, strict=True)
    ]


def prompts(asked: Sequence[Any]) -> list[dict[str, list[int]]]:
    """Prompts as vLLM takes them."""
    return [{"prompt_token_ids": list(one.prompt)} for one in asked]


def read_all(asked: Draw, output: Any) -> list[Drawn]:
    """Every token of one output."""
    steps = zip(output.token_ids, output.logprobs, strict=True)
    return [
        read_step(asked, token, {id: one.logprob for id, one in found.items()})
        for token, found in steps
    ]


def completion(request: Request, drawn: Sequence[Drawn], pair: Pair) -> Completion:
    """What a client makes of drawn tokens: that of any engine, by the same code."""
    row = RowState(request, _decoding(pair))
    for one in drawn:
        if row.done:
            break
        if request.top_logprobs is not None:
            row.logprobs.append(TokenLogprobs(one.token, one.values[0], one.top))
        row.take(one.token, one.values, one.also)
    if row.error is not None:
        raise row.error
    return row.completion()


def _decoding(pair: Pair) -> Decoding:
    return Decoding(pair.tokenizer, pair.eos_ids, pair.context_length, "float32", 0)


def expected(spec: PairSpec, asked: Sequence[Request]) -> list[Completion]:
    """The answers of the transformers engine."""
    from inspect_lda.engines.transformers import TransformersEngine

    engine = TransformersEngine(spec, max_batch=8)

    async def run() -> list[Completion]:
        return list(await asyncio.gather(*map(engine.generate, asked)))

    try:
        return asyncio.run(run())
    finally:
        engine.close()


def compare(
    written: Written,
    asked: Sequence[Request],
    found: Sequence[Completion],
    right: Sequence[Completion] | None = None,
) -> Report:
    """Hold every token and its evidence against `right`, the transformers engine's."""
    report = Report()
    right = expected(written.spec, asked) if right is None else right
    for request, got, want in zip(asked, found, right, strict=True):
        report.tokens += len(want.tokens)
        if got.tokens != want.tokens or got.stop_reason != want.stop_reason:
            tied = _tied(written, request, got.tokens, want.tokens)
            report.ties += tied
            report.mismatches += not tied
            continue
        error = max(
            apart(_plain(got.evidence), _plain(want.evidence)),
            apart(_tops(got), _tops(want)),
        )
        if abs(request.alpha) > 5:
            report.extreme_error = max(report.extreme_error, error)
        else:
            report.error = max(report.error, error)
    return report


def _tied(
    written: Written, request: Request, got: Sequence[int], want: Sequence[int]
) -> bool:
    """Whether rounding of the logits decides between two tokens where texts part."""
    pairs = enumerate(zip(got, want, strict=False))
    step = next((i for i, (one, other) in pairs if one != other), None)
    if step is None:
        return False
    after, before = written.halves([*request.prompt, *want[:step]])
    noise = torch.Generator().manual_seed(0)
    rows = [
        half[-1] + ROUNDING * torch.randn(64, half.shape[-1], generator=noise)
        for half in (after, before)
    ]
    drawing = Drawing(written.block.ids, 0, torch.device("cpu"))
    slot = Slot.of(
        draw_of(request).extra_args(request.alpha),
        request.alpha,
        len(request.prompt),
        drawing.width,
    )
    assert slot is not None
    drawing.slots[1] = slot
    position = len(request.prompt) - 1 + step
    side = torch.tensor([[request.alpha, 1.0, position]]).expand(64, -1)
    drawn = drawing(rows[0], rows[1], side, lambda *_: rows[0])
    return got[step] in drawn.argmax(-1).tolist()


def _plain(evidence: Evidence | None) -> dict[str, Any]:
    assert evidence is not None
    assert evidence.per_token is not None
    sums = {"log_p_after", "log_p_before", "log_q", "log_p_plain", "entropy_after"}
    plain = evidence.model_dump(exclude={"per_token", "decisive", "masked_ids"})
    # As means, so that one bound fits all.
    for name in sums:
        if plain[name] is not None:
            plain[name] /= evidence.n_tokens
    return {**plain, "tokens": evidence.per_token.unpack()}


def _tops(completion: Completion) -> list[Any]:
    return [
        [step.token, step.logprob, list(map(list, step.top))]
        for step in completion.logprobs or ()
    ]


def apart(one: Any, other: Any) -> float:
    """The largest difference of numbers in the same places; infinite if others are."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max((apart(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, list | tuple) and len(one) == len(other):
        return max(map(apart, one, other), default=0.0)
    if isinstance(one, float) and isinstance(other, float):
        return 0.0 if one == other else abs(one - other)
    return 0.0 if one == other else math.inf
