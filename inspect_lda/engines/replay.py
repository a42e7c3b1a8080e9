"""Evidence of a text that was drawn elsewhere: what both checkpoints think of it."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from inspect_lda.decoding.asked import Asked
from inspect_lda.decoding.batch import Edit, Settings, send
from inspect_lda.decoding.known import KnownIds
from inspect_lda.decoding.measure import is_sound
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.settings import Sampling
from inspect_lda.decoding.step import Stepper

TOGETHER = 16
"""Tokens that are measured at a time: what bounds the memory of a long text."""


def replayed(
    known: KnownIds,
    after: Tensor,
    before: Tensor,
    tokens: Sequence[int],
    sampling: Sampling,
    earlier: Sequence[int] = (),
) -> tuple[tuple[float, ...], ...]:
    """Measure every token of a completion as if it had been drawn at alpha 0.

    Args:
        known: The ids of the pair.
        after: `[tokens, V]` logits of `after` in front of each token.
        before: The same of `before`.
        tokens: The completion, or a part of it.
        sampling: Settings it was drawn with; its penalties count the tokens so far.
        earlier: The tokens in front of that part.

    Returns:
        A `StepEvidence` a token.
    """
    counts = Counter(earlier)
    found: list[tuple[float, ...]] = []
    for start in range(0, len(tokens), TOGETHER):
        here = slice(start, start + TOGETHER)
        asked = _asked(tokens[here], sampling, counts, after.device)
        found += _measured(known, asked, after[here], before[here])
    return tuple(found)


def _asked(
    tokens: Sequence[int],
    sampling: Sampling,
    counts: Counter[int],
    device: torch.device,
) -> Asked:
    """Each token as a row of its own; `counts` goes on to those behind them."""
    zeros = [0.0] * len(tokens)
    settings = Settings.of([sampling] * len(tokens), zeros, device)
    edits = []
    for row, token in enumerate(tokens):
        if settings.edits:
            edits.append(Edit.of(row, sampling, counts, device))
        counts[token] += 1
    written = torch.tensor(tokens, device=device)
    return Asked(
        settings,
        edits,
        send(zeros, torch.float64, device),
        top=0,
        choose=lambda _: written,
    )


def _measured(
    known: KnownIds, asked: Asked, after: Tensor, before: Tensor
) -> list[tuple[float, ...]]:
    scratch = Scratch.of(after.shape[0], known.width, after.device)

    def values(*, careful: bool) -> list[list[float]]:
        step = Stepper(known, asked, scratch, careful)(after, before)
        rows: list[list[float]] = torch.cat(step.evidence, dim=-1).tolist()
        return rows

    quick = values(careful=False)
    sound = all(map(is_sound, quick))
    return [tuple(row) for row in (quick if sound else values(careful=True))]
