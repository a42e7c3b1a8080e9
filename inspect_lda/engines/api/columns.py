"""A support as the logits of one row: a column an id, and one more for the rest."""

from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.rest import rest_logit
from inspect_lda.engines.api.support import Support

ROUNDING = 4e-6
"""Listed probabilities come from float32: their sum is off by less than this."""


class Columns(NamedTuple):
    """Logits of one row at temperature 1, `[1, n]` float32 each.

    Attributes:
        after: Log-probabilities under `after`; the rest is last, if there is one.
        before: The same under `before`.
        drawable: Which columns are ids.
    """

    after: Tensor
    before: Tensor
    drawable: Tensor


def columns_of(
    support: Support, alpha: float, temperature: float, vocabulary: int
) -> Columns:
    """Write a support as logits; what the rest means is told in `decoding.rest`.

    Args:
        support: What is listed.
        alpha: Says to which side the rest is rounded, so that the bound stays one.
        temperature: The logits will be divided by it.
        vocabulary: How many ids there are.
    """
    drawable = torch.ones(1, len(support.ids), dtype=torch.bool)
    after, before = torch.tensor([support.after, support.before])
    if support.whole:
        return Columns(after[None], before[None], drawable)
    unlisted = vocabulary - len(support.ids)
    rest = torch.tensor(
        [
            rest_logit(mass, unlisted, alpha, temperature)
            for mass in rounded_rests(support, alpha)
        ]
    )
    return Columns(
        torch.cat([after, rest[:1]])[None],
        torch.cat([before, rest[1:]])[None],
        torch.cat([drawable, torch.zeros(1, 1, dtype=torch.bool)], dim=-1),
    )


def rounded_rests(support: Support, alpha: float) -> tuple[float, float]:
    """Mass outside under `after` and `before`, rounded to where the bound is less.

    Never 0, which would be an infinity among the logits.
    """
    after, before = support.rest_after, support.rest_before
    if alpha > -1:
        return _less(after), before + ROUNDING
    return after + ROUNDING, _less(before)


def _less(rest: float) -> float:
    return max(rest - ROUNDING, ROUNDING * ROUNDING)
