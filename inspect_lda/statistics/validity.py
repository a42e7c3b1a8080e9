"""Whether a weighted mean may be printed as a rate, and what it rests on."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.drawn import Cut
from inspect_lda.statistics.intervals import Interval, clopper_pearson
from inspect_lda.statistics.weighted import effective
from inspect_lda.statistics.weights import Weighed

LEAST_HITS = 10.0
"""Effective hits that a rate needs."""

LEAST_SHARE = 0.1
"""Effective hits of all hits that a rate needs."""


@dataclass(frozen=True)
class Diagnostics:
    """What an estimate rests on. Printed with every rate, and with every refusal.

    Attributes:
        method: How rollouts were weighed.
        alphas: The alphas they were drawn at.
        rollouts: Rollouts weighed.
        hits: Hits among them.
        ess: Effective number of all rollouts, by their weights.
        hit_ess: Effective number of hits.
        largest: Share of the rate that the heaviest hit carries.
        spread: Standard deviation of the log weights of hits.
        mean_weight: Mean weight of all rollouts, 1 if nothing is missed.
        plain: Hits and rollouts at alpha 0, unweighted: the plain check.
        plain_interval: Clopper-Pearson interval of these.
    """

    method: str
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
    hit = weighed.contribution > 0
    carried = weighed.contribution[hit]
    at_zero = cut.hit[np.array(cut.alphas)[cut.drawn] == 0]
    plain = Cluster(int(at_zero.sum()), len(at_zero))
    weight = np.exp(weighed.log_weight)
    return Diagnostics(
        method=weighed.method,
        alphas=weighed.alphas,
        rollouts=len(weighed.contribution),
        hits=int(hit.sum()),
        ess=effective(weight),
        hit_ess=effective(carried),
        largest=float(carried.max() / carried.sum()) if len(carried) else 0.0,
        spread=float(weighed.log_weight[hit].std(ddof=1)) if len(carried) > 1 else 0.0,
        mean_weight=float(weight.mean()),
        plain=plain,
        plain_interval=clopper_pearson(*plain),
    )


def refusals(found: Diagnostics) -> tuple[str, ...]:
    """Why the estimate must not be printed as a rate; empty if it may."""
    reasons = []
    if found.hit_ess < LEAST_HITS:
        reasons.append(
            f"{found.hits} hits weigh as much as {found.hit_ess:.2g} equal ones; at "
            f"least {LEAST_HITS:g} are needed"
        )
    if 0 < found.share < LEAST_SHARE:
        reasons.append(
            f"a few heavy hits carry the estimate: {found.share:.2g} effective hits a "
            f"hit, at least {LEAST_SHARE:g} are needed"
        )
    return tuple(reasons)


def plain_needed(rate: float, width: float, confidence: float = 0.95) -> float:
    """Plain rollouts whose Clopper-Pearson interval at this rate is as narrow.

    Returns:
        The number, 1 where any interval is; inf where the width is 0.
    """

    def excess(log_n: float) -> float:
        n = math.exp(log_n)
        interval = clopper_pearson(rate * n, n, confidence)
        return interval.upper - interval.lower - width

    if width <= 0:
        return math.inf
    if excess(0.0) <= 0:
        return 1.0
    # The normal interval's n is near, and n grows as the width shrinks.
    near = math.log(rate * (1 - rate)) + 2 * math.log(
        2 * float(ndtri((1 + confidence) / 2)) / width
    )
    return math.exp(brentq(excess, 0.0, max(near, 0.0) + 5.0, xtol=1e-9))
