"""From curves a token to curves a run, and where they cross a limit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspect_lda.calibration.found import LARGEST
from inspect_lda.calibration.records import Point
from inspect_lda.engines.base import TokenCurves

Array = NDArray[np.float64]

GRID = (*(2 ** (step / 2) for step in range(-14, 14)), LARGEST)
"""Alphas of the curves, half an octave apart: close enough to interpolate between."""


def clustered_mean(
    clusters: Sequence[str], sums: Array, counts: Array
) -> tuple[Array, Array]:
    """A mean over all tokens, and its standard error over clusters.

    The mean is a ratio of two sums over clusters (their values, their tokens), whose
    variance is linearised (Cochran 1977, Sampling Techniques, eq. 6.13).

    Args:
        clusters: Cluster of each rollout; at least two differ.
        sums: `[rollouts, …]`, values summed over the tokens of each.
        counts: `[rollouts]` tokens.

    Returns:
        Means and standard errors, `[…]` each.
    """
    names, place = np.unique(np.asarray(clusters), return_inverse=True)
    m = len(names)
    whole = np.zeros((m, *sums.shape[1:]))
    tokens = np.zeros(m)
    np.add.at(whole, place, sums)
    np.add.at(tokens, place, counts)
    mean = whole.sum(0) / tokens.sum()
    residual = whole - tokens.reshape(-1, *[1] * mean.ndim) * mean
    variance = (residual**2).sum(0) * m / (m - 1) / tokens.sum() ** 2
    return mean, np.sqrt(variance)


def pool(
    alphas: Sequence[float], clusters: Sequence[str], found: Sequence[TokenCurves]
) -> tuple[Point, ...]:
    """The curves of a run: means over the tokens of all rollouts."""
    sums = np.array(
        [
            [np.sum(part, axis=-1) for part in (one.kl, one.surprise, one.implausible)]
            for one in found
        ]
    )
    counts = np.array([len(one.kl[0]) for one in found], dtype=float)
    mean, error = clustered_mean(clusters, sums, counts)
    return tuple(
        Point(
            alpha=alpha,
            kl=mean[0, i],
            kl_se=error[0, i],
            surprise=mean[1, i],
            surprise_se=error[1, i],
            implausible=mean[2, i],
            implausible_se=error[2, i],
        )
        for i, alpha in enumerate(alphas)
    )


def alpha_of_kl(points: Sequence[Point], budget: float) -> float | None:
    """The largest alpha with a mean KL of at most `budget`; None: beyond the curve.

    In a given context KL(q_alpha || p_after) has slope alpha * Var_q(log r) and so only
    grows with alpha; below the first point it is alpha^2 times a constant.
    """
    above = [point for point in points if point.alpha > 0]
    first = next((i for i, point in enumerate(above) if point.kl > budget), None)
    if first is None:
        return None
    if first == 0:
        return above[0].alpha * float(np.sqrt(budget / above[0].kl))
    # Smallest values are rounding, which a logarithm would make much of.
    kept = [point for point in above if point.kl > 1e-4 * budget]
    return _crossing(kept, [np.log(point.kl) for point in kept], float(np.log(budget)))


def alpha_of_surprise(points: Sequence[Point], margin: float) -> float | None:
    """Where surprise first exceeds that of alpha 0 by `margin`; None: nowhere.

    A small alpha usually sharpens: surprise falls before it rises.
    """
    base = next(point.surprise for point in points if point.alpha == 0)
    above = [point for point in points if point.alpha > 0]
    return _crossing(above, [point.surprise for point in above], base + margin)


def at(points: Sequence[Point], alpha: float, name: str) -> float:
    """The value of a curve at any alpha, interpolated."""
    above = [point for point in points if point.alpha > 0]
    values = [getattr(point, name) for point in above]
    return float(_smooth(above, values)(np.log(alpha)))


def _crossing(
    points: Sequence[Point], values: Sequence[float], limit: float
) -> float | None:
    """Where values first rise above the limit."""
    from scipy.optimize import brentq

    first = next((i for i, value in enumerate(values) if value > limit), None)
    if first is None:
        return None
    if first == 0:
        return points[0].alpha
    smooth = _smooth(points, values)
    low, high = (float(np.log(points[i].alpha)) for i in (first - 1, first))
    if values[first - 1] == limit:
        return points[first - 1].alpha
    return float(np.exp(brentq(lambda x: float(smooth(x)) - limit, low, high)))


def _smooth(points: Sequence[Point], values: Sequence[float]) -> Any:
    from scipy.interpolate import PchipInterpolator

    return PchipInterpolator(np.log([point.alpha for point in points]), values)
