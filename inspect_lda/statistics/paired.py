"""Differences within pairs: the same prompt asked in two ways."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from inspect_lda.errors import LDAError


class Difference(NamedTuple):
    """A mean difference over pairs.

    Attributes:
        estimate: Mean of second - first.
        lower: Lower confidence bound for the population of pairs.
        upper: Upper confidence bound.
        p: Two-sided p value of "no difference", by flipping signs of pairs.
        pairs: How many pairs.
    """

    estimate: float
    lower: float
    upper: float
    p: float
    pairs: int


def paired_difference(
    pairs: Sequence[tuple[float, float]], confidence: float = 0.95
) -> Difference | None:
    """Mean of second - first over pairs of rates, each in [0, 1].

    A pair is one unit, whatever the number of rollouts behind its rates. The interval
    is Student's, the p value exact (or 9,999 random sign flips of many pairs), so that
    it holds for lumpy differences too. Where all differences are equal Student's
    interval has no width; as many pairs as the rule of three allows could then differ
    unseen, by at most 1, and the interval says so.

    Args:
        pairs: (first, second) rates of each pair.
        confidence: Nominal coverage.

    Returns:
        The difference; None with fewer than two pairs.

    Raises:
        LDAError: If a rate is not in [0, 1].
    """
    from scipy import stats

    for pair in pairs:
        if not all(0 <= rate <= 1 for rate in pair):
            raise LDAError(f"rates {pair}: need two numbers in [0, 1]")
    if len(pairs) < 2:
        return None
    gaps = [second - first for first, second in pairs]
    mean = math.fsum(gaps) / len(gaps)
    if max(gaps) - min(gaps) < 1e-12:
        slack = 1 - ((1 - confidence) / 2) ** (1 / len(gaps))
        lower, upper = max(-1.0, mean - slack), min(1.0, mean + slack)
    else:
        interval = stats.ttest_1samp(gaps, 0).confidence_interval(confidence)
        lower, upper = float(interval.low), float(interval.high)
    flips = stats.permutation_test(
        (gaps,),
        lambda sample, axis: sample.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=0,
    )
    return Difference(mean, lower, upper, float(flips.pvalue), len(gaps))
