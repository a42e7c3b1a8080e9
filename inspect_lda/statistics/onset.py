"""At which checkpoint a behaviour begins, with many looks paid for."""

from collections.abc import Sequence
from typing import NamedTuple

from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.intervals import check_counts


class Look(NamedTuple):
    """One checkpoint compared with the baseline.

    Attributes:
        p: One-sided p value of "no more hits than the baseline" (Fisher's exact test).
        adjusted: The same after Holm's correction over all looks.
    """

    p: float
    adjusted: float


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values (Holm 1979, Scand. J. Statist. 6:65), in the given order."""
    m = len(p_values)
    order = sorted(range(m), key=p_values.__getitem__)
    adjusted = [0.0] * m
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (m - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def looks(series: Sequence[Cluster], baseline: Cluster) -> list[Look]:
    """Compare every checkpoint with a baseline, e.g. the model before training.

    Args:
        series: Hits and rollouts of each checkpoint.
        baseline: Hits and rollouts without the behaviour.

    Returns:
        One look a checkpoint, in order. The probability that any checkpoint without
        the behaviour has `adjusted` below e is at most e.
    """
    from scipy import stats

    check_counts(*baseline)
    found = []
    for cell in series:
        check_counts(*cell)
        table = [
            [cell.k, cell.n - cell.k],
            [baseline.k, baseline.n - baseline.k],
        ]
        found.append(float(stats.fisher_exact(table, alternative="greater").pvalue))
    return [Look(p, a) for p, a in zip(found, holm(found), strict=True)]


def onset(
    series: Sequence[Cluster], baseline: Cluster, error: float = 0.05
) -> int | None:
    """Index of the first checkpoint that is above the baseline; None if none is."""
    tested = looks(series, baseline)
    return next((i for i, look in enumerate(tested) if look.adjusted <= error), None)
