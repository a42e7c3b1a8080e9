"""What the whole vocabulary says of a step that drew from a part of it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from inspect_lda.decoding.amplify import amplify
from inspect_lda.decoding.batch import Edit, Settings
from inspect_lda.decoding.distribution import Distribution
from inspect_lda.decoding.truncate import truncate
from inspect_lda.engines.api.listing import Listing
from inspect_lda.engines.api.support import Support
from inspect_lda.engines.rows import RowState

GRID = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0)
"""Sizes of the alphas that an error may recommend."""


@dataclass(frozen=True)
class Audit:
    """One step, with the whole vocabulary known.

    Attributes:
        tv: Total variation between the distribution drawn from and the one of the
            whole vocabulary, both with the row's sampling settings.
        lost: Amplified mass outside the support.
        grid: What that would be at other alphas (`alphas_below`), in their order.
    """

    tv: float
    lost: float
    grid: tuple[float, ...]


def alphas_below(alpha: float) -> tuple[float, ...]:
    """Alphas of the grid that are nearer to 0 than this one, on its side."""
    sign = math.copysign(1.0, alpha)
    return tuple(sign * size + 0.0 for size in GRID if size < abs(alpha))


@torch.inference_mode()
def audit(
    row: RowState,
    support: Support,
    whole: tuple[Listing, Listing],
    barred: Iterable[int] = (),
) -> Audit:
    """Compare a step with what it would have been on the whole vocabulary.

    Args:
        row: Before the step is recorded in it.
        support: What the step draws from.
        whole: All of `after`, and all of `before`.
        barred: Ids that are no token.
    """
    a, b = _vectors(*whole)
    a[:, list(barred)] = -torch.inf
    inside = torch.zeros(1, a.shape[-1], dtype=torch.bool)
    inside[0, list(support.ids)] = True
    sampling, alpha = row.request.sampling, row.request.alpha
    settings = Settings.of([sampling], [alpha], a.device)
    edit = Edit.of(0, sampling, row.counts, a.device)

    def scaled(at: float) -> Tensor:
        logits = settings.scale(amplify(a, b, at)).clone()
        if settings.edits:
            edit.apply(logits)
        return logits

    def lost(logits: Tensor) -> float:
        return float(torch.softmax(logits.double(), dim=-1)[~inside].sum())

    logits = scaled(alpha)
    drawn = _chances(logits.masked_fill(~inside, -torch.inf), settings)
    tv = float((drawn - _chances(logits, settings)).abs().sum() / 2)
    grid = tuple(lost(scaled(at)) for at in alphas_below(alpha))
    return Audit(tv, lost(logits), grid)


def _chances(logits: Tensor, settings: Settings) -> Tensor:
    """The chance of every id to be drawn, `[1, V]` float64."""
    spare = torch.empty_like(logits)
    q = Distribution.of(logits, torch.empty_like(logits))
    if settings.truncates:
        q = q.keep(truncate(q, settings, spare, logits.shape[-1]), spare)
    return q.probabilities(settings.greedy)


def _vectors(after: Listing, before: Listing) -> tuple[Tensor, Tensor]:
    """Log-probabilities `[1, V]` of both, by id."""
    width = 1 + max(*after.logprobs, *before.logprobs)
    both = torch.full((2, width), -torch.inf)
    for index, listing in enumerate((after, before)):
        ids = torch.tensor(list(listing.logprobs))
        both[index, ids] = torch.tensor(list(listing.logprobs.values()))
    return both[:1], both[1:]
