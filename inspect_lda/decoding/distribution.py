"""A softmax over the vocabulary, whole or cut down to the ids that may be drawn."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

FAINT = 1e-30
"""A float32 probability below this may have lost digits."""


class Kept(NamedTuple):
    """The ids that truncation leaves of each row.

    Those with a logit above `cut`, and of those exactly at it the ids up to `last`.

    Attributes:
        cut: `[batch, 1]`.
        last: `[batch, 1]` ids; None where every id at the cut is kept.
        short: `[batch, 1]` bool, rows of which too few ids were ranked to find the cut;
            None if there are none.
    """

    cut: Tensor
    last: Tensor | None
    short: Tensor | None

    def has(self, logits: Tensor, ids: Tensor) -> Tensor:
        """Which ids `[batch, n]` or `[n]` of these `logits` are kept, `[batch, n]`."""
        kept = logits >= self.cut
        if self.last is None:
            return kept
        return kept & ((logits > self.cut) | (ids <= self.last))


@dataclass(frozen=True)
class Distribution:
    """The softmax of a batch, and log-probabilities of those ids that are asked.

    A full log-softmax would cost as much again, and only few ids are asked.

    Attributes:
        logits: `[batch, V]`, of dropped ids too.
        mass: `[batch, V]` probabilities; those of dropped ids are 0 and what is left
            is not scaled up.
        kept: What truncation left.
        total: `[batch, 1]`, the mass that is left.
    """

    logits: Tensor
    mass: Tensor
    kept: Kept | None = None
    total: Tensor | None = None

    @classmethod
    def of(cls, logits: Tensor, out: Tensor) -> "Distribution":
        """Make the softmax.

        Args:
            logits: `[batch, V]` float32, after the temperature.
            out: `[batch, V]` float32 memory for the masses.
        """
        return cls(logits, torch.softmax(logits, dim=-1, out=out))

    def keep(self, kept: Kept, spare: Tensor) -> "Distribution":
        """Drop what is not kept; this object's `mass` is written to.

        Args:
            kept: What is left.
            spare: `[batch, V]` float32 memory to work in.
        """
        if kept.last is None:
            # Zeros and ones in float32: a factor of bool takes five times as long.
            self.mass.mul_(torch.ge(self.logits, kept.cut, out=spare))
        else:
            ids = torch.arange(self.mass.shape[-1], device=self.mass.device)
            self.mass.mul_(kept.has(self.logits, ids))
        return replace(self, kept=kept, total=self.mass.sum(-1, keepdim=True))

    def log_norm(self, near: Tensor) -> Tensor:
        """What log-probabilities were less than logits before anything was dropped.

        Args:
            near: `[batch, 1]` ids to read it off. Where they are dropped or too
                unlikely for that, the most likely id serves, in two more passes.

        Returns:
            `[batch, 1]`.
        """
        p_near = self.mass.gather(-1, near)
        norm = self.logits.gather(-1, near) - p_near.log()
        if on_cpu(norm) and float(p_near.min()) > FAINT:
            return norm
        peak, p_max = (x.amax(-1, keepdim=True) for x in (self.logits, self.mass))
        return torch.where(p_near > FAINT, norm, peak - p_max.log())

    def probabilities(self, greedy: Tensor | None = None) -> Tensor:
        """The chance of every id to be drawn, `[batch, V]` float64.

        Args:
            greedy: `[batch]` bool, rows that take the most likely id; None for none.
        """
        p = self.mass.double()
        p /= p.sum(-1, keepdim=True)
        if greedy is None:
            return p
        certain = torch.zeros_like(p)
        certain.scatter_(-1, self.logits.argmax(-1, keepdim=True), 1.0)
        return torch.where(greedy.unsqueeze(-1), certain, p)

    def log(self, ids: Tensor, log_norm: Tensor) -> Tensor:
        """Log-probabilities `[batch, n]`, exact where p itself underflows.

        NaN in rows that hold NaN, and in those whose cut is not known (`short`).

        Args:
            ids: `[batch, n]`.
            log_norm: What the method of that name gave, before or after `keep`.
        """
        logits = self.logits.gather(-1, ids)
        if self.kept is None or self.total is None:
            return logits - log_norm
        log_p = logits - (log_norm + self.total.log())
        # NaN is above no cut, and is to be seen.
        dropped = ~self.kept.has(logits, ids) & ~log_p.isnan()
        log_p = log_p.masked_fill(dropped, -torch.inf)
        short = self.kept.short
        return log_p if short is None else log_p.masked_fill(short, torch.nan)


def on_cpu(tensor: Tensor) -> bool:
    """Whether to look at a value costs no wait for a device."""
    return tensor.device.type == "cpu"
