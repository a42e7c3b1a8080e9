"""Noise and signal of a pair, and what alpha makes of them.

Noise is the error of a difference of logits that ought to be zero: one checkpoint
against itself in another shape. Amplified, it moves the distribution as a true
difference of its size would; the total variation says by how much.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from inspect_lda.decoding.amplify import amplify, known_logits

CHUNK = 1 << 21
"""Logits that are worked on at a time."""

Rows = slice


@dataclass(frozen=True)
class Known:
    """The ids of a pair: those `after` has, and those both have, `[V]` bool each."""

    allowed: Tensor
    shared: Tensor


class Measured:
    """Logits of one pair at the probed tokens, and what they say at every alpha.

    All means are over the probed tokens.

    Args:
        after: `[rows, n, V]`, logits of `after` in the batch.
        before: `[rows, n, V_before]`, the same of `before`.
        alone: `[rows, n, V]`, `after` alone on the same tokens.
        known: The ids of the pair.
        truth: Both checkpoints in float32, on the same tokens; None without.
    """

    def __init__(
        self,
        after: Tensor,
        before: Tensor,
        alone: Tensor,
        known: Known,
        truth: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self._known = known
        self._after = after.flatten(0, 1)
        self._before = before.flatten(0, 1)
        self._alone = alone.flatten(0, 1)
        self._truth = truth and (truth[0].flatten(0, 1), truth[1].flatten(0, 1))

    def noise_tv(self, alpha: float) -> float:
        """Total variation between `after` and `after + alpha * noise`."""

        def part(rows: Rows) -> Tensor:
            after = self._own(self._after, rows)
            return variation(after, after + alpha * self._noise(rows))

        return fmean(self._each(part))

    def signal_tv(self, alpha: float) -> float:
        """Total variation between `after` and the amplified distribution."""

        def part(rows: Rows) -> Tensor:
            amplified = self._amplified(self._after, self._before, alpha, rows)
            return variation(self._own(self._after, rows), amplified)

        return fmean(self._each(part))

    def truth_tv(self, alpha: float) -> float | None:
        """Total variation between amplified and amplified in float32."""
        truth = self._truth
        if truth is None:
            return None

        def part(rows: Rows) -> Tensor:
            amplified = self._amplified(self._after, self._before, alpha, rows)
            return variation(amplified, self._amplified(*truth, alpha, rows))

        return fmean(self._each(part))

    def signal_kl(self) -> list[float]:
        """KL(after || before) of every token, nats; ids of one side are left out."""

        def part(rows: Rows) -> Tensor:
            shared = self._known.shared
            after = known_logits(self._after[rows], shared)
            return divergence(after, known_logits(self._before[rows], shared))

        return self._each(part)

    def noise_kl(self) -> float:
        """KL between `after` alone and `after` in the batch, nats."""

        def part(rows: Rows) -> Tensor:
            alone = self._own(self._alone, rows)
            return divergence(alone, self._own(self._after, rows))

        return fmean(self._each(part))

    def noise_std(self) -> float:
        """Standard deviation of the noise over the ids of a token."""
        return fmean(self._each(lambda rows: self._spread(self._noise(rows))))

    def signal_std(self) -> float:
        """The same of `after - before`."""

        def part(rows: Rows) -> Tensor:
            return self._spread(self._difference(self._after, self._before, rows))

        return fmean(self._each(part))

    def truth_std(self) -> float | None:
        """The same of the error of `after - before` against float32."""
        truth = self._truth
        if truth is None:
            return None

        def part(rows: Rows) -> Tensor:
            ours = self._difference(self._after, self._before, rows)
            return self._spread(ours - self._difference(*truth, rows))

        return fmean(self._each(part))

    def _each(self, part: Callable[[Rows], Tensor]) -> list[float]:
        """The values of all tokens, a part of them at a time."""
        step = max(1, CHUNK // self._after.shape[-1])
        found: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(self._after), step):
                found += part(slice(start, start + step)).tolist()
        return found

    def _own(self, logits: Tensor, rows: Rows) -> Tensor:
        return known_logits(logits[rows], self._known.allowed)

    def _noise(self, rows: Rows) -> Tensor:
        return self._difference(self._alone, self._after, rows)

    def _difference(self, left: Tensor, right: Tensor, rows: Rows) -> Tensor:
        """`left - right`, 0 for ids that are not amplified."""
        shared = self._known.shared
        width = shared.shape[0]
        a, b = (known_logits(half[rows], None, width) for half in (left, right))
        return (a - b).masked_fill(~(shared & a.isfinite() & b.isfinite()), 0.0)

    def _spread(self, values: Tensor) -> Tensor:
        return values[:, self._known.shared].std(-1, correction=0)

    def _amplified(
        self, after: Tensor, before: Tensor, alpha: float, rows: Rows
    ) -> Tensor:
        known = self._known
        return amplify(
            after[rows], before[rows], alpha, allowed=known.allowed, shared=known.shared
        )


def variation(left: Tensor, right: Tensor) -> Tensor:
    """Total variation of the distributions of logits `[rows, V]`, `[rows]`."""
    p, q = torch.softmax(left, dim=-1), torch.softmax(right, dim=-1)
    return (p - q).abs_().sum(-1) / 2


def divergence(left: Tensor, right: Tensor) -> Tensor:
    """KL(left || right) of logits `[rows, V]`, `[rows]`.

    Infinite only if `right` excludes what `left` does not.
    """
    p, q = torch.log_softmax(left, dim=-1), torch.log_softmax(right, dim=-1)
    ratio = (p - q).double()
    # The terms of p log(p/q) cancel; with q - p added, whose sum is 0, none is below 0,
    # so that a divergence of 1e-12 is seen in float32.
    terms = p.exp() * (torch.expm1(-ratio) + ratio)
    return torch.where(p.isneginf(), q.exp(), terms).sum(-1)
