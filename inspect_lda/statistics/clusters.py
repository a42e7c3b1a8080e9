"""The interval for the population of prompts, not just for this prompt set.

Rollouts of one prompt are alike, so n rollouts of m prompts say less about prompts
in general than n independent ones: with 8 prompts x 125 rollouts a pooled 95%
interval covers the population mean only 53% of the time (intraclass correlation
0.05).
"""

from collections.abc import Sequence
from typing import NamedTuple

from scipy.special import stdtrit

from inspect_lda.statistics.intervals import Interval, check_counts, clopper_pearson


class Cluster(NamedTuple):
    """Hits and rollouts of one prompt (or group of prompts)."""

    k: int
    n: int


def clustered(
    clusters: Sequence[Cluster], confidence: float = 0.95, factor: float = 1.0
) -> Interval:
    """Clopper-Pearson on the effective sample size (Korn and Graubard 1998).

    Survey Methodology 24:193: the variance of the ratio mean over clusters gives the
    design effect, n shrinks by it and by the squared ratio of t quantiles with n - 1
    and m - 1 degrees of freedom; the effective n never exceeds n.

    Args:
        clusters: One entry a prompt; entries without rollouts are ignored.
        confidence: Nominal coverage.
        factor: Reckon with so many times as many prompts like these: what a run of
            that size would say.

    Returns:
        The interval. Where every rollout is a hit, or none is, no variance can be
        estimated: the effective n is then the number of prompts, so that zero hits
        bound the population by 3 / prompts and not by 3 / rollouts. One prompt says
        nothing about a population: [0, 1].
    """
    for cluster in clusters:
        check_counts(cluster.k, cluster.n, confidence)
    filled = [cluster for cluster in clusters if cluster.n > 0]
    m = len(filled)
    if m < 2:
        return Interval(0.0, 1.0)
    n = sum(cluster.n for cluster in filled)
    rate = sum(cluster.k for cluster in filled) / n
    size = _effective_size(filled, rate, n, confidence) if 0 < rate < 1 else m
    return clopper_pearson(rate * size * factor, size * factor, confidence)


def _effective_size(
    clusters: Sequence[Cluster], rate: float, n: int, confidence: float
) -> float:
    m = len(clusters)
    # Taylor linearisation of the ratio mean (Cochran 1977, eq. 6.13).
    variance = sum((c.k - rate * c.n) ** 2 for c in clusters) * m / (m - 1) / n**2
    quantile = (1 + confidence) / 2
    shrink = float(stdtrit(n - 1, quantile) / stdtrit(m - 1, quantile)) ** 2
    if variance == 0:  # every prompt at the same rate: no clustering to correct for
        return min(n, n * shrink)
    return min(float(n), rate * (1 - rate) / variance * shrink)
