"""How unequal prompts are: one rate for all, or a few prompts that carry it."""

import math
from collections.abc import Sequence

from scipy.special import ndtr

from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.intervals import check_counts


def intraclass(clusters: Sequence[Cluster]) -> float | None:
    """Intraclass correlation of hits within a prompt, by analysis of variance.

    Ridout, Demetrio and Firth 1999 (Biometrics 55:137), the estimator "AOV". 0 means
    that rollouts of one prompt are no more alike than those of different prompts, 1
    that a prompt either always hits or never; slightly negative by chance.

    Args:
        clusters: Hits and rollouts of each prompt; entries without rollouts are
            ignored.

    Returns:
        The correlation; None where it is not defined: fewer than two prompts, one
        rollout a prompt, or hits everywhere or nowhere.
    """
    filled = _filled(clusters)
    m, n = len(filled), sum(c.n for c in filled)
    k = sum(c.k for c in filled)
    if m < 2 or n == m or k in (0, n):
        return None
    rate = k / n
    between = sum(c.n * (c.k / c.n - rate) ** 2 for c in filled) / (m - 1)
    within = sum(c.k * (1 - c.k / c.n) for c in filled) / (n - m)
    size = (n - sum(c.n**2 for c in filled) / n) / (m - 1)
    return (between - within) / (between + (size - 1) * within)


def overdispersion(clusters: Sequence[Cluster]) -> float | None:
    """One-sided p value of "all prompts have one rate" (Tarone 1979, Biometrika 66).

    Args:
        clusters: As for `intraclass`.

    Returns:
        The p value, small where prompts differ more than chance allows; None where
        `intraclass` is None.
    """
    filled = _filled(clusters)
    n, k = sum(c.n for c in filled), sum(c.k for c in filled)
    if len(filled) < 2 or n == len(filled) or k in (0, n):
        return None
    rate = k / n
    excess = sum((c.k - c.n * rate) ** 2 for c in filled) / (rate * (1 - rate)) - n
    return float(ndtr(-excess / math.sqrt(2 * sum(c.n * (c.n - 1) for c in filled))))


def _filled(clusters: Sequence[Cluster]) -> list[Cluster]:
    for cluster in clusters:
        check_counts(cluster.k, cluster.n)
    return [cluster for cluster in clusters if cluster.n > 0]
