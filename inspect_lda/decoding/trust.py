"""The trust region: how much of a push keeps a step within so many nats."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.distribution import on_cpu

STEPS = 16
"""Guesses at most; a few are enough but where the push has almost one target."""
AIM = 1 - 5e-4
REACHED = 1 - 2e-3
"""Guesses aim at this share of the bound, and this share of it is near enough: a guess
that rounds to above the bound would not be within."""


def largest_share(base: Tensor, pushed: Tensor, share: Tensor, bound: Tensor) -> Tensor:
    """The largest s up to `share` with KL(q_s || base) <= bound, a value a row.

    q_s is the softmax of base + s * (pushed - base). Ids that are impossible under
    either are impossible under q_s; they may alone exceed the bound, and s is then 0.

    Args:
        base: `[n, V]` logits.
        pushed: `[n, V]` logits at s = 1.
        share: `[n, 1]` from 0 to 1.
        bound: `[n, 1]` nats; infinity keeps the share.

    Returns:
        `[n, 1]`, short of the exact value by at most some thousandths of it, and never
        beyond; a row of NaN keeps its share.
    """
    tilt = _Tilt.of(base, pushed)
    first = tilt.at(share)
    beyond = first.kl > bound
    if on_cpu(base):
        rows = beyond.squeeze(-1).nonzero().squeeze(-1)
        if len(rows) == 0:
            return share
        found = _search(tilt.some(rows), share[rows], bound[rows], first.some(rows))
        return share.index_copy(0, rows, found)
    # Elsewhere to look would be to wait.
    return torch.where(beyond, _search(tilt, share, bound, first), share)


class _Seen(NamedTuple):
    """What was seen of q_s, `[n, 1]` each."""

    kl: Tensor
    variance: Tensor

    def some(self, rows: Tensor) -> "_Seen":
        return _Seen(self.kl[rows], self.variance[rows])


@dataclass(frozen=True)
class _Tilt:
    """The family q_s.

    Attributes:
        base: `[n, V]` logits, -inf where q_s is impossible.
        push: `[n, V]`, 0 there; 0 on average under the base.
        norm: `[n, 1]` logarithm of the base's sum, all ids counted.
    """

    base: Tensor
    push: Tensor
    norm: Tensor

    @classmethod
    def of(cls, base: Tensor, pushed: Tensor) -> "_Tilt":
        norm = base.logsumexp(-1, keepdim=True)
        push = pushed - base
        impossible = base.isneginf() | pushed.isneginf()
        if not on_cpu(base) or bool(impossible.any()):
            push.masked_fill_(impossible, 0)
        p = (base - norm).exp_()
        # Centred, a small divergence is no difference of large numbers.
        push -= _dot(p, push)
        if not on_cpu(base) or bool(impossible.any()):
            push.masked_fill_(impossible, 0)
            base = base.masked_fill(impossible, -torch.inf)
        return cls(base, push, norm)

    def some(self, rows: Tensor) -> "_Tilt":
        return _Tilt(self.base[rows], self.push[rows], self.norm[rows])

    def at(self, share: Tensor) -> _Seen:
        # In place, and sums without a product in between: fresh memory is what costs.
        q = torch.addcmul(self.base, self.push, share)
        peak = q.amax(-1, keepdim=True)
        q.sub_(peak).exp_()
        total = q.sum(-1, keepdim=True)
        mean = _dot(q, self.push) / total
        kl = share * mean - (peak + total.log() - self.norm)
        square = _dot(q.mul_(self.push), self.push) / total
        return _Seen(kl.clamp(min=0), square - mean.square())


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """Sums of products `[n, 1]` of `[n, V]`."""
    return torch.bmm(one.unsqueeze(1), other.unsqueeze(2)).squeeze(-1)


def _search(tilt: _Tilt, share: Tensor, bound: Tensor, seen: _Seen) -> Tensor:
    low, high, guess = torch.zeros_like(share), share, share
    aim = (bound * AIM).sqrt()
    reached = torch.zeros_like(share, dtype=torch.bool)
    for _ in range(STEPS):
        # The root of the divergence is nearly straight, as its square nearly is one.
        root = seen.kl.sqrt()
        newton = guess - (root - aim) * 2 * root / (guess * seen.variance)
        inside = (newton > low) & (newton < high)
        guess = torch.where(inside, newton, (low + high) / 2)
        seen = tilt.at(guess)
        within = seen.kl <= bound
        # What is reached stays: a row must not depend on how long others take.
        low = torch.where(within & ~reached, guess, low)
        high = torch.where(within | reached, high, guess)
        reached |= within & (seen.kl >= REACHED * bound)
        if on_cpu(low) and bool(reached.all()):
            break
    return low
