"""A support as the logits of one row: a column an id, and one more for the rest."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.rest import is_upper_bound, rest_logit
from inspect_lda.engines.api.support import Support

TINY = 1e-12
"""Least mass of a rest: 0 would be an infinity among the logits."""
NOTHING = -100.0
"""A logit bias that leaves nothing."""


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
        alpha: Amplification.
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
            rest_logit(max(mass, TINY), unlisted, alpha, temperature)
            for mass in (support.rest_after, support.rest_before)
        ]
    )
    return Columns(
        torch.cat([after, rest[:1]])[None],
        torch.cat([before, rest[1:]])[None],
        torch.cat([drawable, torch.zeros(1, 1, dtype=torch.bool)], dim=-1),
    )


def rest_bias(
    support: Support, alpha: float, vocabulary: int, lowered: int = 0
) -> float:
    """What to add to the amplified logit of the rest, so that its bound is one.

    The masses of the rest are differences from 1, and a server's float32 sum over its
    vocabulary is off by some 1e-9 for each id (measured: 1.5e-4 for 49,152).

    Args:
        support: What is listed.
        alpha: Amplification.
        vocabulary: How many ids there are.
        lowered: How many ids of the rest penalties or bias make less likely.
    """
    if lowered and alpha < 0:
        return 0.0 if is_upper_bound(alpha) else NOTHING
    slack = 4e-6 + 1e-8 * vocabulary
    # Of those that are lowered none has more than the least likely listed id.
    lost = lowered * math.exp(min(support.after))
    bias = 0.0
    for mass, power, less in (
        (support.rest_after, 1 + alpha, lost),
        (support.rest_before, -alpha, 0.0),
    ):
        upwards = (power < 0) != is_upper_bound(alpha)
        rounded = mass + slack if upwards else mass - slack - less
        bias += power * math.log(max(rounded, TINY) / max(mass, TINY))
    return max(bias, NOTHING)
