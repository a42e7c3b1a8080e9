"""The largest alpha at which real rollouts are still coherent: a short bisection."""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal

from inspect_lda.calibration.asked import Rollout
from inspect_lda.calibration.records import Settings, Trial
from inspect_lda.statistics.coherence import Limits
from inspect_lda.statistics.intervals import clopper_pearson

ERROR = 0.05
RANGE = 8.0
"""The bisection does not look below the first alpha divided by this."""

Sample = Callable[[float, int], Awaitable[Sequence[Rollout]]]
"""Rollouts at an alpha; the number says which look at it this is, from 0."""


@dataclass(frozen=True)
class Search:
    """What is asked of every alpha.

    Attributes:
        sample: Where rollouts come from.
        limits: What is coherent.
        target: Least share of coherent rollouts.
        settings: Batches, looks and levels.
    """

    sample: Sample
    limits: Limits
    target: float
    settings: Settings

    async def __call__(self, cap: float) -> tuple[float | None, list[Trial]]:
        """Find the largest coherent alpha from `cap` / 8 to `cap`.

        Coherence falls with alpha: where an alpha is kept, smaller ones are too.

        Returns:
            The alpha, None if even the smallest is not kept; and all trials.
        """
        trials = [await self.trial(cap)]
        if trials[0].kept:
            return cap, trials
        low, high = math.log(cap / RANGE), math.log(cap)
        best: float | None = None
        for _ in range(self.settings.levels):
            middle = tidy(math.exp((low + high) / 2))
            trials.append(await self.trial(middle))
            if trials[-1].kept:
                low, best = math.log(middle), middle
            else:
                high = math.log(middle)
        if best is None:
            trials.append(await self.trial(tidy(cap / RANGE)))
            best = trials[-1].alpha if trials[-1].kept else None
        return best, trials

    async def trial(self, alpha: float) -> Trial:
        """Sample at one alpha until its share is known to reach the target, or not to.

        The error of 5% is divided among all looks, so that stopping early costs none.
        """
        looks, most = self.settings.looks, self.settings.looks * self.settings.batch
        confidence = 1 - ERROR / looks
        seen: list[Rollout] = []
        for look in range(looks):
            seen += await self.sample(alpha, look)
            k = sum(self.limits.admit(one.reading) for one in seen)
            lower = clopper_pearson(k, len(seen), confidence, "lower").lower
            upper = clopper_pearson(k, len(seen), confidence, "upper").upper
            best = clopper_pearson(k + most - len(seen), most, confidence, "lower")
            if lower >= self.target or min(upper, best.lower) < self.target:
                break
        tokens = sum(one.evidence.n_tokens for one in seen)
        return Trial(
            alpha=alpha,
            coherent=k,
            rollouts=len(seen),
            lower=lower,
            kept=lower >= self.target,
            kl=sum(one.divergence for one in seen) / tokens,
            surprise=-sum(one.log_p for one in seen) / tokens,
        )


def tidy(alpha: float) -> float:
    """Three digits, rounded towards 0: what was measured holds for it."""
    exact = Decimal(repr(alpha))
    digits = Context(prec=3, rounding=ROUND_DOWN)
    return float(digits.create_decimal(exact))
