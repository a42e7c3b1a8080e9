"""The interval of a mean over prompts."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.special import stdtrit

from inspect_lda.statistics.intervals import Interval


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's interval of the mean of prompts like these.

    Args:
        values: One a prompt: the mean over its tokens, since tokens of one prompt are
            alike.
        confidence: Nominal coverage.

    Returns:
        The interval. One value says nothing about others: minus to plus infinity.
    """
    if len(values) < 2:
        return Interval(-math.inf, math.inf)
    error = stdev(values) / math.sqrt(len(values))
    reach = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * error
    centre = fmean(values)
    return Interval(centre - reach, centre + reach)
