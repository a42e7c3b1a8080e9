"""Whether a weighted mean may be printed as a rate, and what it rests on.

Hits can be many and say little, where a few of them weigh more than all others, and the
heaviest are the last to be seen. The limits are those that hold in simulation with
known rates: `python -m benchmarks.rates`, docs/rates.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, bdtrc

from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.drawn import Cut
from inspect_lda.statistics.intervals import Interval, clopper_pearson
from inspect_lda.statistics.weighted import effective
from inspect_lda.statistics.weights import Weighed, Weighing

LEAST_HITS = 10.0
"""Effective hits that a rate needs."""

LEAST_SHARE = 0.1
"""Effective hits of all hits that a rate needs."""

SPREAD: Mapping[Weighing, float] = {
    "importance": 1.25,
    "mixture": 1.5,
    "hazard": 1.5,
    "plain": 0.0,
}
"""Largest standard deviation of the logarithms of what hits contribute. The effective
number of few hits is too large where weights have a heavy tail, whose end was not drawn
yet; the spread of their logarithms shows the tail earlier. In a mixture a weight cannot
exceed one over the share of alpha 0, so that more is allowed."""

PLAIN_HITS = 5
"""So many hits at alpha 0 in a mixture, and the spread does not matter: what amplified
rollouts miss was seen."""

DISAGREEMENT = 0.005
"""One-sided p value at which the plain check speaks against the estimate."""


@dataclass(frozen=True)
class Diagnostics:
    """What an estimate rests on. Printed with every rate, and with every refusal.

    Attributes:
        method: How rollouts were weighed.
        alphas: The alphas they were drawn at.
        rollouts: Rollouts weighed.
        hits: Hits among them (of a hazard, rollouts with any).
        ess: Effective number of all rollouts, by their weights.
        hit_ess: Effective number of hits.
        largest: Share of the rate that the heaviest hit carries.
        spread: Standard deviation of the logarithms of what hits contribute.
        mean_weight: Mean weight of all rollouts, 1 if nothing is missed.
        plain: Hits and rollouts at alpha 0, unweighted: the plain check.
        plain_interval: Clopper-Pearson interval of these.
    """

    method: Weighing
    alphas: tuple[float, ...]
    rollouts: int
    hits: int
    ess: float
    hit_ess: float
    largest: float
    spread: float
    mean_weight: float
    plain: Cluster
    plain_interval: Interval

    @property
    def share(self) -> float:
        """Effective hits over hits; 0 without hits."""
        return self.hit_ess / self.hits if self.hits else 0.0


def diagnose(weighed: Weighed, cut: Cut) -> Diagnostics:
    """Take the diagnostics of an estimate, with the plain check of all rollouts."""
    carried = weighed.contribution[weighed.contribution > 0]
    at_zero = cut.hit[np.array(cut.alphas)[cut.drawn] == 0]
    plain = Cluster(int(at_zero.sum()), len(at_zero))
    weight = np.exp(weighed.log_weight)
    return Diagnostics(
        method=weighed.method,
        alphas=weighed.alphas,
        rollouts=len(weighed.contribution),
        hits=len(carried),
        ess=effective(weight),
        hit_ess=effective(carried),
        largest=float(carried.max() / carried.sum()) if len(carried) else 0.0,
        spread=float(np.log(carried).std(ddof=1)) if len(carried) > 1 else 0.0,
        mean_weight=float(weight.mean()),
        plain=plain,
        plain_interval=clopper_pearson(*plain),
    )


def refusals(found: Diagnostics, interval: Interval) -> tuple[str, ...]:
    """Why an estimate must not be printed as a rate; empty if it may.

    Args:
        found: What it rests on.
        interval: The interval it would be printed with.
    """
    if found.hits == 0:
        return (f"no hit in {found.rollouts} rollouts",)
    reasons = []
    if found.hit_ess < LEAST_HITS:
        reasons.append(
            f"{found.hits} hits weigh as much as {found.hit_ess:.2g} equal ones; at "
            f"least {LEAST_HITS:g} are needed"
        )
    if found.share < LEAST_SHARE:
        reasons.append(
            f"few heavy hits carry the estimate: {found.share:.2g} effective hits a "
            f"hit; at least {LEAST_SHARE:g} are needed"
        )
    seen = found.method == "mixture" and found.plain.k >= PLAIN_HITS
    if found.spread > SPREAD[found.method] and not seen:
        reasons.append(
            f"what hits contribute spreads over {found.spread:.2g} nats; at most "
            f"{SPREAD[found.method]:g}, or the heaviest may not have been seen"
        )
    if against := _against(found.plain, interval):
        reasons.append(against)
    return tuple(reasons)


def _against(plain: Cluster, interval: Interval) -> str | None:
    """What the plain check says against an interval."""
    k, n = plain
    if n == 0:
        return None
    low, high = min(interval.lower, 1.0), min(interval.upper, 1.0)
    many = k > 0 and bdtrc(k - 1, n, high) < DISAGREEMENT
    if not many and bdtr(k, n, low) >= DISAGREEMENT:
        return None
    return (
        f"the plain check disagrees: {k} hits in {n} rollouts at alpha 0, where the "
        f"weights say {interval.lower:.2g} to {interval.upper:.2g} a rollout"
    )
