"""What a measurement would have cost without amplification."""

import math

from scipy.optimize import brentq
from scipy.special import ndtri

from inspect_lda.statistics.intervals import clopper_pearson


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
    reach = 2 * float(ndtri((1 + confidence) / 2)) / width
    # Where all or none is a hit, it is no normal interval, and n grows more slowly.
    spread = rate * (1 - rate)
    near = 2 * math.log(reach) + (math.log(spread) if spread > 0 else 0.0)
    return math.exp(brentq(excess, 0.0, max(near, 0.0) + 5.0, xtol=1e-9))
