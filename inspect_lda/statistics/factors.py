"""How many times more frequent: the interval of a ratio of two proportions."""

import math
from collections.abc import Callable
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.special import ndtri

from inspect_lda.statistics.intervals import Interval, check_counts


class Factor(NamedTuple):
    """A ratio of rates with its interval.

    Attributes:
        estimate: k1/n1 over k0/n0; inf if only the base has no hits, NaN if neither
            arm has one (0/0 says nothing).
        lower: Lower confidence bound.
        upper: Upper confidence bound, possibly inf.
    """

    estimate: float
    lower: float
    upper: float


def amplification_factor(
    k1: int, n1: int, k0: int, n0: int, confidence: float = 0.95
) -> Factor:
    """Ratio of the amplified rate k1/n1 to the base rate k0/n0, with `koopman`."""
    interval = koopman(k1, n1, k0, n0, confidence)
    if k0 > 0:
        estimate = (k1 / n1) / (k0 / n0) if n1 else math.nan
    else:
        estimate = math.inf if k1 > 0 else math.nan
    return Factor(estimate, *interval)


def koopman(k1: int, n1: int, k0: int, n0: int, confidence: float = 0.95) -> Interval:
    """Score interval of p1/p0 (Koopman 1984, Biometrics 40:513).

    The bounds are the ratios at which Koopman's chi-square statistic, taken at the
    maximum-likelihood rates under that ratio, equals the normal quantile squared.

    Args:
        k1: Hits in the arm above the line (amplified).
        n1: Its rollouts.
        k0: Hits in the arm below the line (alpha = 0).
        n0: Its rollouts.
        confidence: Nominal coverage.

    Returns:
        [0, inf) if neither arm has a hit or an arm is empty; a lower bound of 0 if
        only k1 = 0; an upper bound of inf if only k0 = 0, where the lower bound still
        says how large the factor is at least (33/1000 over 0/1000: 8.6).
    """
    check_counts(k1, n1, confidence)
    check_counts(k0, n0, confidence)
    if n1 == 0 or n0 == 0 or k1 + k0 == 0:
        return Interval(0.0, math.inf)
    critical = float(ndtri((1 + confidence) / 2)) ** 2

    def excess(log_ratio: float) -> float:
        return _statistic(k1, n1, k0, n0, math.exp(log_ratio)) - critical

    # The statistic is 0 at the estimate and grows on both sides; without an estimate
    # (k = 0 in one arm) it falls towards that side, so any far point will do.
    estimate = math.log(k1 / n1 * n0 / k0) if k1 and k0 else (60.0 if k1 else -60.0)
    lower = 0.0 if k1 == 0 else _root(excess, estimate, -1.0)
    upper = math.inf if k0 == 0 else _root(excess, estimate, 1.0)
    return Interval(lower, upper)


def _root(excess: Callable[[float], float], start: float, direction: float) -> float:
    """Walk outwards from `start`, where excess < 0, to the sign change; refine it."""
    step = 1.0
    while excess(start + direction * step) < 0:
        step *= 2
    return math.exp(brentq(excess, start, start + direction * step, xtol=1e-12))


def _statistic(k1: int, n1: int, k0: int, n0: int, ratio: float) -> float:
    """Koopman's U at a ratio: chi-square of both arms at the constrained rates."""
    p0 = _constrained_rate(k1, n1, k0, n0, ratio)
    p1 = min(1.0, ratio * p0)
    return _chi_square(k1, n1, p1) + _chi_square(k0, n0, p0)


def _constrained_rate(k1: int, n1: int, k0: int, n0: int, ratio: float) -> float:
    """Maximum-likelihood p0 under p1 = ratio * p0: the smaller root of a quadratic."""
    a = ratio * (n1 + n0)
    b = -(ratio * (n1 + k0) + k1 + n0)
    c = float(k1 + k0)
    # 2c / (-b + root) rather than (-b - root) / 2a: no cancellation for rare events.
    return 2 * c / (-b + math.sqrt(max(0.0, b * b - 4 * a * c)))


def _chi_square(k: int, n: int, p: float) -> float:
    gap = k - n * p
    if p <= 0.0 or p >= 1.0:
        return 0.0 if abs(gap) < 1e-9 * n else math.inf
    return gap * gap / (n * p * (1 - p))
