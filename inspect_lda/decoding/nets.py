"""Safety nets: amplification held back where it costs too much (`settings.Nets`).

Every net makes another distribution to draw from, never a correction afterwards, so
`log q` and the weights made of it stay exact. They act after the combination and before
penalties, on the distributions cut to the support, in this order:

soft threshold -> (placebo) -> schedule, first k -> gate -> trust region -> penalties
and bias -> plausibility -> top-k ...

All but the first and the last scale the push: with q_s ~ base * exp(s * push), s from 0
to 1, KL(q_s || base) grows with s, by s * Var_s(push). So the largest s within a bound
is found by bisection, with Newton's guesses where they lie inside the bracket. A step
whose s is 1 is the plain one and a step whose s is 0 is the checkpoint, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.batch import send
from inspect_lda.decoding.distribution import on_cpu
from inspect_lda.decoding.known import Logits
from inspect_lda.decoding.settings import NO_NETS, Nets
from inspect_lda.decoding.support import Support
from inspect_lda.decoding.trust import largest_share
from inspect_lda.evidence import NETS

SHRUNK, SCHEDULED, PASSED, GATED, HELD, FLOORED = (2.0**i for i in range(len(NETS)))
"""Which nets acted at a step, as a sum of these; in the order of `NETS`."""


class Netted(NamedTuple):
    """What a row of a batch asks for at one step.

    Attributes:
        row: Its place in the batch.
        nets: Its nets.
        alpha: Its amplification.
        step: How many tokens it has so far.
        placebo: Whether its push is a placebo's, which starts from `after` always.
    """

    row: int
    nets: Nets
    alpha: float
    step: int
    placebo: bool = False

    @property
    def acts(self) -> bool:
        """Whether there are nets, and a push that they could hold back."""
        pushed = self.alpha not in ((0,) if self.placebo else (0, -1))
        return pushed and self.nets != NO_NETS

    @property
    def swapped(self) -> bool:
        """Whether the push starts from `before`."""
        return self.alpha < -1 and not self.placebo

    def values(self) -> tuple[float, ...]:
        """A row of `_Columns`."""
        nets = self.nets
        share = nets.factor(self.step)
        acted = SCHEDULED if share < 1 else 0
        if 0 < nets.first_k <= self.step:
            share, acted = 0, PASSED
        limits = (nets.soft_threshold, nets.kl_gate, nets.max_kl_per_token)
        return (self.alpha, self.swapped, share, acted, *limits, nets.plausibility)


class _Columns(NamedTuple):
    """`[n, 1]` each."""

    alpha: Tensor
    swapped: Tensor
    share: Tensor
    acted: Tensor
    shrink: Tensor
    gate: Tensor
    bound: Tensor
    floor: Tensor


class Caught(NamedTuple):
    """What nets did at a step.

    Attributes:
        alpha: `[n, 1]` the amplification that is left.
        acted: `[n, 1]` which nets acted, without the plausibility floor.
        floor: The ids below it, like those outside a support; None without one.
    """

    alpha: Tensor
    acted: Tensor
    floor: Support | None


@dataclass(frozen=True)
class NetRows:
    """The nets of those rows of a batch that have some.

    Attributes:
        rows: `[n]` their places.
        columns: What they ask for.
        asked: The same for the host, which knows without a wait what nobody asks for.
        swaps: Whether any row is one of the swapped pair.
    """

    rows: Tensor
    columns: _Columns
    asked: Sequence[Nets]
    swaps: bool

    @classmethod
    def of(cls, rows: Sequence[Netted], device: torch.device) -> "NetRows | None":
        """Stack rows; None if no net acts in any."""
        acting = [row for row in rows if row.acts]
        if not acting:
            return None
        values = torch.tensor([row.values() for row in acting], dtype=torch.float32)
        columns = values.to(device, non_blocking=True).unsqueeze(-1).unbind(1)
        places = send([row.row for row in acting], torch.long, device)
        swaps = any(row.swapped for row in acting)
        return cls(places, _Columns(*columns), [row.nets for row in acting], swaps)

    def shrink(
        self, logits: Logits, temperature: Tensor, support: Support | None
    ) -> None:
        """Draw differences towards 0, in place in `logits.amplified`.

        Args:
            logits: Of the batch, at the temperature.
            temperature: `[batch, 1]`.
            support: Log-probabilities are those on it.
        """
        if not any(nets.soft_threshold for nets in self.asked):
            return
        alpha, swapped, *_ = self.columns
        sides = self._sides(logits)
        cut = self._sides(_restricted(logits, support))
        scale = temperature[self.rows]
        # The threshold is one of log-probabilities at temperature 1.
        norms = [(side * scale).logsumexp(-1, keepdim=True) / scale for side in cut]
        base, other = (side - norm for side, norm in zip(sides, norms, strict=True))
        difference = torch.where(other.isneginf(), 0.0, base - other)
        size = (difference.abs() - self.columns.shrink / scale).clamp(min=0)
        strength = torch.where(swapped > 0, -1 - alpha, alpha)
        shrunk = base + strength * size.copysign(difference)
        plain = self._of(logits.amplified)
        impossible = plain.isneginf() | base.isneginf()
        shrunk = shrunk.masked_fill(impossible, -torch.inf)
        wanted = self.columns.shrink > 0
        logits.amplified[self.rows] = torch.where(wanted, shrunk, plain)

    def limit(self, logits: Logits, support: Support | None) -> Caught:
        """Scale the push down, in place in `logits.amplified`.

        Args:
            logits: Of the batch, at the temperature.
            support: The ids that may be drawn.
        """
        alpha, swapped, share, acted, shrinks, gate, bound, floor = self.columns
        cut = _restricted(logits, support)
        base, other = self._sides(cut)
        if any(nets.kl_gate for nets in self.asked):
            closed = (share > 0) & (_divergence(base, other) <= gate)
            closed &= gate > 0
            share, acted = share.masked_fill(closed, 0), acted + GATED * closed
        if any(nets.max_kl_per_token < torch.inf for nets in self.asked):
            held = largest_share(base, self._of(cut.amplified), share, bound)
            share, acted = held, acted + HELD * (held < share)
        self._scale(logits, share)
        acted = acted + SHRUNK * ((shrinks > 0) & (share > 0))
        left = torch.where(swapped > 0, share * (1 + alpha) - 1, share * alpha)
        return Caught(left, acted, self._floor(base, share, floor))

    def _scale(self, logits: Logits, share: Tensor) -> None:
        if on_cpu(share) and bool((share == 1).all()):
            return
        base, _ = self._sides(logits)
        plain = self._of(logits.amplified)
        impossible = plain.isneginf() | base.isneginf()
        push = (plain - base).masked_fill_(impossible, 0)
        scaled = torch.addcmul(base, push, share).masked_fill_(impossible, -torch.inf)
        scaled = torch.where(share == 0, base, scaled)
        logits.amplified[self.rows] = torch.where(share == 1, plain, scaled)

    def _floor(self, base: Tensor, share: Tensor, floor: Tensor) -> Support | None:
        if not any(nets.plausibility for nets in self.asked):
            return None
        cut = base.amax(-1, keepdim=True) + floor.log()
        return Support(self.rows, (base < cut) & (share > 0))

    def _sides(self, logits: Logits) -> tuple[Tensor, Tensor]:
        """`[n, V]` logits of the checkpoint the push starts from, and of the other."""
        after, before = self._of(logits.after), self._of(logits.before)
        if not self.swaps:
            return after, before
        swapped = self.columns.swapped > 0
        return torch.where(swapped, before, after), torch.where(swapped, after, before)

    def _of(self, batch: Tensor) -> Tensor:
        return batch if len(self.rows) == len(batch) else batch[self.rows]


def _restricted(logits: Logits, support: Support | None) -> Logits:
    if support is None:
        return logits
    cut = [each.clone() for each in logits[:3]]
    for each in cut:
        support.restrict(each)
    return Logits(*cut)


def _divergence(one: Tensor, other: Tensor) -> Tensor:
    """KL(one || other) `[n, 1]`, ids that the other lacks left out of the sum."""
    log_one, log_other = one.log_softmax(-1), other.log_softmax(-1)
    both = ~(log_one.isneginf() | log_other.isneginf())
    apart = torch.where(both, log_one - log_other, 0.0)
    return (log_one.exp() * apart).sum(-1, keepdim=True)
