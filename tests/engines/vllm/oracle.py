"""What a pair's engine has to say, by two transformers models in float32."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspect_lda.checkpoints.block import PairBlock
from inspect_lda.pair import Pair, PairSpec, load_pair
from tests.tiny import VOCAB, save_checkpoint, tiny_model, tiny_tokenizer

ALPHAS = (None, 0.0, 0.3, 1.0, 5.0, -1.0, 20.0, -0.5)
TIE = 1e-3
"""Two tokens this close in log-probability may change places by rounding."""


@dataclass(frozen=True)
class Ask:
    """A greedy request. No alpha asks for the directory's default."""

    prompt: tuple[int, ...]
    alpha: float | None
    prompt_logprobs: bool = False


@dataclass
class Report:
    """How an engine's answers compare with the oracle's."""

    tokens: int = 0
    mismatches: int = 0
    ties: int = 0
    error: float = 0.0
    extreme_error: float = 0.0
    prompt_error: float = 0.0

    def json(self) -> dict[str, float]:
        """All of it, for another process."""
        return asdict(self)


@dataclass(frozen=True)
class Written:
    """A pair on disk, and the directory that serves it."""

    directory: Path
    spec: PairSpec
    alpha: float

    @cached_property
    def pair(self) -> Pair:
        """Its two models."""
        return load_pair(self.spec)

    @cached_property
    def block(self) -> PairBlock:
        """What the directory says of the pair."""
        text = (self.directory / "config.json").read_text(encoding="utf-8")
        return PairBlock.of(json.loads(text), str(self.directory))

    def halves(self, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Logits `[tokens, V]` of `after` and of `before` after each of the ids."""
        row = torch.tensor([list(ids)])
        with torch.no_grad():
            a = self.pair.after(input_ids=row, use_cache=False).logits[0].float()
            b = self.pair.before(input_ids=row, use_cache=False).logits[0].float()
        return a, b

    def logits(self, ids: Sequence[int], alpha: float | None) -> Tensor:
        """Amplified logits `[tokens, V]` after each of the ids."""
        a, b = self.halves(ids)
        amplified: Tensor = a + (self.alpha if alpha is None else alpha) * (a - b)
        return amplified


def write(
    root: Path, arch: str = "llama", alpha: float = 0.7, **widths: Any
) -> Written:
    """A tiny pair and its directory."""
    for name, seed in (("after", 1), ("before", 2)):
        model = tiny_model(arch, seed=seed, **widths)
        save_checkpoint(root / name, model, tiny_tokenizer())
    return compose(root, str(root / "after"), str(root / "before"), alpha)


def compose(root: Path, after: str, before: str | None, alpha: float = 0.7) -> Written:
    """The directory of a pair that lies on disk."""
    from inspect_lda.checkpoints.directory import write_pair

    write_pair(after, before, root / "pair", alpha=alpha)
    # Other attention implementations leave out what some architectures need (gemma2's
    # cap of attention scores, under sdpa).
    spec = PairSpec(
        after, before, dtype="float32", device="cpu", attn_implementation="eager"
    )
    return Written(root / "pair", spec, alpha)


def asks(count: int, seed: int = 0, vocabulary: int = VOCAB) -> list[Ask]:
    """Prompts of all lengths, every second one behind a common beginning."""
    numbers = np.random.default_rng(seed)

    def ids(length: int) -> tuple[int, ...]:
        return tuple(int(one) for one in numbers.integers(4, vocabulary, length))

    common = ids(48)
    found = []
    for i in range(count):
        prompt = ids(int(numbers.integers(3, 120)))
        whole = common + prompt if i % 2 else prompt
        found.append(Ask(whole, ALPHAS[i % len(ALPHAS)], prompt_logprobs=i % 5 == 0))
    return found


def sampling(ask: Ask, tokens: int, listed: int = 5) -> Any:
    """Sampling parameters of a request, with `listed` log-probabilities a token."""
    from vllm import SamplingParams

    return SamplingParams(
        temperature=0,
        max_tokens=tokens,
        ignore_eos=True,
        logprobs=listed,
        prompt_logprobs=2 if ask.prompt_logprobs else None,
        extra_args=None if ask.alpha is None else {"lda_alpha": ask.alpha},
    )


def answers(llm: Any, asked: Sequence[Ask], tokens: int, listed: int = 5) -> list[Any]:
    """Outputs of requests that are all made at once."""
    prompts = [{"prompt_token_ids": list(ask.prompt)} for ask in asked]
    params = [sampling(ask, tokens, listed) for ask in asked]
    outputs: list[Any] = llm.generate(prompts, params, use_tqdm=False)
    return outputs


def compare(written: Written, asked: Sequence[Ask], outputs: Sequence[Any]) -> Report:
    """Hold every token and every log-probability against the oracle."""
    report = Report()
    for ask, output in zip(asked, outputs, strict=True):
        ids = list(output.outputs[0].token_ids)
        logits = written.logits([*ask.prompt, *ids], ask.alpha)
        rows = logits.log_softmax(-1)
        start = len(ask.prompt) - 1
        extreme = abs(ask.alpha or 0) > 5
        for step, token in enumerate(ids):
            row = rows[start + step]
            report.tokens += 1
            if int(row.argmax()) != token:
                tied = float(row.max() - row[token]) < TIE
                report.ties += tied
                report.mismatches += not tied
            error = max(_errors(row, output.outputs[0].logprobs[step]))
            if extreme:
                report.extreme_error = max(report.extreme_error, error)
            else:
                report.error = max(report.error, error)
        for position, found in enumerate(output.prompt_logprobs or ()):
            for error in _errors(rows[position - 1], found or {}):
                if extreme:
                    report.extreme_error = max(report.extreme_error, error)
                else:
                    report.prompt_error = max(report.prompt_error, error)
    return report


def _errors(row: Tensor, found: dict[int, Any]) -> Iterator[float]:
    for token, one in found.items():
        yield abs(one.logprob - float(row[token]))
