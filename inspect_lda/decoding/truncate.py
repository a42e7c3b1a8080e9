"""What happens between the combination and the draw, in this order.

penalties and logit_bias (once, on the amplified logits) -> temperature -> top-k ->
top-p -> min-p. All settings are per row; a row with a neutral setting is untouched.
There is no plausibility mask on p_after: it would delete the rare tokens that
amplification exists to find.

- top-k keeps the k most likely ids, and all that are as likely as the last of them.
- top-p takes what top-k left, most likely first and lower ids first among equals, and
  keeps an id if the mass before it is below p; the first is always kept.
- min-p keeps what has at least this share of the most likely id.

So the kept ids are those above a cut (`Kept`), and the largest logits tell where it
is: sorting all of them would cost a third of a decoding step on a CPU.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.batch import Settings
from inspect_lda.decoding.distribution import Distribution, Kept, on_cpu

RANKED = 1024
"""How many of the largest logits are ranked at first."""
WIDER = 8
"""How many times as many are ranked next, in rows where that is too few."""
REACHED = 1 - 2**-23
"""So much of a top-p counts as all: 0.4 and 0.3 in float32 do reach 0.7."""


def truncate(
    whole: Distribution, settings: Settings, spare: Tensor, width: int = RANKED
) -> Kept:
    """Find what top-k, then top-p, then min-p leave.

    Args:
        whole: The distribution at the temperature, nothing dropped.
        settings: Of its rows.
        spare: `[batch, V]` float32 memory to work in.
        width: How many of the largest logits are ranked at first. On a CPU more are
            where that is too few; elsewhere such a row is `short`.
    """
    vocabulary = whole.logits.shape[-1]
    peak = whole.logits.amax(-1, keepdim=True)
    cut = torch.full_like(peak, -torch.inf)
    last = torch.full_like(peak, vocabulary, dtype=torch.long)
    short = torch.zeros_like(peak, dtype=torch.bool)
    if (rows := settings.ranked) is not None:
        ranking = _Ranking(whole.logits, whole.mass.amax(-1, keepdim=True), spare)
        part = ranking.cut(rows, settings.top_k, settings.top_p, width)
        cut[rows], last[rows], short[rows] = part
    if settings.min_p is not None:
        floor = peak + settings.min_p.log()
        last = torch.where(floor > cut, vocabulary, last)
        cut = torch.maximum(cut, floor)
    if not on_cpu(cut):
        return Kept(cut, last, short)
    # Here it costs nothing to look whether the rest matters.
    return Kept(cut, last if bool((last < vocabulary).any()) else None, None)


class _Ranking(NamedTuple):
    """What the largest logits of each row tell.

    Attributes:
        logits: `[batch, V]`.
        p_max: `[batch, 1]` largest probabilities.
        spare: `[batch, V]` memory to work in.
    """

    logits: Tensor
    p_max: Tensor
    spare: Tensor

    def cut(
        self, rows: Tensor, top_k: Tensor, top_p: Tensor, width: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`cut`, `last` and `short` of some rows, `[rows, 1]` as the settings are."""
        vocabulary = self.logits.shape[-1]
        width = min(width, vocabulary)
        top = largest(self.logits, rows, width, self.spare)
        # Relative to the largest: the logarithm of the norm is 1e-6 off in float32.
        mass = top.double().sub_(top[:, :1]).exp_().mul_(self.p_max[rows])
        mass = torch.cumsum(mass, dim=-1, out=mass)
        kth = top.gather(-1, top_k.clamp(1, width) - 1)
        # At least one, in a row of NaN too.
        likely = (top >= kth).sum(-1, keepdim=True).clamp(min=1)
        limit = torch.where(top_k > 0, likely, width)
        total = torch.where(top_k > 0, mass.gather(-1, limit - 1), 1.0)
        reached = 1 + torch.searchsorted(mass, top_p * total * REACHED)
        count = torch.minimum(reached, limit)
        cut = top.gather(-1, count - 1)
        last = self._last(rows, cut, top, torch.where(reached < limit, count, width))
        if width == vocabulary:
            return cut, last, torch.zeros_like(rows, dtype=torch.bool).unsqueeze(-1)
        # Whether ids that are not ranked could have a say.
        unranked = torch.where(top_k > 0, limit, reached) >= width
        short = (top_k > width) | ((top_p < 1) & unranked)
        if on_cpu(top) and bool(short.any()):
            more = short.squeeze(-1).nonzero().squeeze(-1)
            wider = self.cut(rows[more], top_k[more], top_p[more], WIDER * width)
            cut[more], last[more], short[more] = wider
        return cut, last, short

    def _last(self, rows: Tensor, cut: Tensor, top: Tensor, count: Tensor) -> Tensor:
        """The last kept id at the cut, where top-p drops others that are equal."""
        width, vocabulary = top.shape[-1], self.logits.shape[-1]
        last = torch.full_like(count, vocabulary)
        following = top.gather(-1, count.clamp(max=width - 1))
        tied = (count < width) & (following == cut)
        if on_cpu(top) and not bool(tied.any()):
            return last
        wanted = count - (top > cut).sum(-1, keepdim=True)
        equals = (self.logits[rows] == cut).cumsum(-1)
        return torch.where(tied, torch.searchsorted(equals, wanted), last)


def largest(logits: Tensor, rows: Tensor, width: int, spare: Tensor) -> Tensor:
    """The largest logits of some rows, `[rows, width]`, descending.

    Args:
        logits: `[batch, V]`.
        rows: Indices of the rows.
        width: How many, at most V.
        spare: `[batch, V]` float32 memory to work in.
    """
    if not on_cpu(logits):
        return logits[rows].topk(width, dim=-1).values
    # NumPy sorts bare values with vector instructions: a sixth of the time of `topk`,
    # and a thirtieth of that of a sort, which both carry the ids along.
    memory = spare[: len(rows)]
    values = torch.index_select(logits, 0, rows, out=memory).numpy()
    values.partition(-width, axis=-1)
    top = values[:, -width:]
    top.sort(axis=-1)
    return torch.from_numpy(top).flip(-1)
