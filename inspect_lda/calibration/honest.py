"""The largest honest alpha: where noise is still small, and small beside the signal."""

import math
from collections.abc import Callable, Sequence

from inspect_lda.calibration.result import Limits, Point
from inspect_lda.values import MAX_ALPHA

LOWEST = 0.01
HALVINGS = 6
"""Bisections between two points of the grid; at 4 a decade they leave 1 %."""

Curve = Callable[[float], float]


def grid(points_a_decade: int) -> list[float]:
    """Alphas from 0.01 to the largest there is, evenly in logarithms."""
    count = round(points_a_decade * math.log10(MAX_ALPHA / LOWEST))
    ratio = (MAX_ALPHA / LOWEST) ** (1 / count)
    return [LOWEST * ratio**i for i in range(count)] + [MAX_ALPHA]


def largest_honest(
    points: Sequence[Point], noise: Curve, signal: Curve, limits: Limits
) -> float | None:
    """The largest alpha up to which all are honest, by a grid and bisection.

    Amplified noise grows with alpha, so that its bound is crossed once. Its share of
    the signal need not: the smallest alpha that breaks it counts.

    Args:
        points: Noise and signal on a grid, ascending.
        noise: Total variation of amplified noise at any alpha.
        signal: Total variation of the amplified difference.
        limits: The bounds.

    Returns:
        The alpha; the last of the grid if all are honest, None if the first is not.
    """

    def honest(noise_tv: float, signal_tv: float) -> bool:
        return noise_tv <= min(limits.max_tv, limits.share * signal_tv)

    low: float | None = None
    for point in points:
        if honest(point.noise_tv, point.signal_tv):
            low = point.alpha
            continue
        high = point.alpha
        for _ in range(HALVINGS if low is not None else 0):
            middle = math.sqrt((low or high) * high)
            if honest(noise(middle), signal(middle)):
                low = middle
            else:
                high = middle
        return low
    return low
