"""Intervals for a proportion from k hits in n independent rollouts.

Clopper-Pearson never covers less than it says and so belongs in gates; Wilson is
closer to its nominal coverage on average, but undercovers for rare events (0.91 at a
true rate of 1e-3 with n = 1,000), and so is for display only.
"""

import math
from typing import Literal, NamedTuple

from scipy.special import betaincinv, ndtri

from inspect_lda.errors import LDAError

Side = Literal["both", "upper", "lower"]


class Interval(NamedTuple):
    """A confidence interval; `upper` may be infinite for a ratio."""

    lower: float
    upper: float


def clopper_pearson(
    k: float, n: float, confidence: float = 0.95, side: Side = "both"
) -> Interval:
    """Exact interval of a proportion (Clopper and Pearson 1934, Biometrika 26:404).

    Args:
        k: Hits. Need not be whole: an effective count, as in `clusters`, is fine.
        n: Rollouts. With none, nothing is known: [0, 1].
        confidence: Coverage, at least.
        side: "upper" puts all of the error above ([0, upper]), "lower" below
            ([lower, 1]). With k = 0 a two-sided interval wastes half of its error on
            a lower bound that is 0 anyway, hence 3.7/n and not 3/n.

    Returns:
        The interval; 0 hits give a lower bound of 0, n hits an upper bound of 1.
    """
    check_counts(k, n, confidence)
    error = (1 - confidence) / (2 if side == "both" else 1)
    lower, upper = 0.0, 1.0
    if k > 0 and side != "upper":
        lower = float(betaincinv(k, n - k + 1, error))
    if k < n and side != "lower":
        upper = float(betaincinv(k + 1, n - k, 1 - error))
    return Interval(lower, upper)


def wilson(k: float, n: float, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion (Wilson 1927, JASA 22:209), no correction.

    Args:
        k: Hits.
        n: Rollouts. With none, nothing is known: [0, 1].
        confidence: Nominal coverage.

    Returns:
        The interval. At k = 0 and k = n the closed form leaves rounding dust of
        1e-18 where the bound is exactly 0 or 1; it is set there.
    """
    check_counts(k, n, confidence)
    if n == 0:
        return Interval(0.0, 1.0)
    z2 = float(ndtri((1 + confidence) / 2)) ** 2
    rate = k / n
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(
        0.0 if k == 0 else centre - half,
        1.0 if k == n else centre + half,
    )


def check_counts(k: float, n: float, confidence: float = 0.95) -> None:
    """Refuse counts that cannot be: wrong input must not become a narrow interval.

    Raises:
        LDAError: If not 0 <= k <= n, or not 0 < confidence < 1 (NaN included).
    """
    if not 0 <= k <= n < math.inf:
        raise LDAError(f"k={k} hits of n={n}: need 0 <= k <= n, both finite")
    if not 0 < confidence < 1:
        raise LDAError(
            f"confidence={confidence}: need a number between 0 and 1, e.g. 0.95"
        )
