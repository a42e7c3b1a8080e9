"""Evidence against a rate that may be looked at after every rollout: e-processes.

A mixture of likelihood ratios, each of which multiplies the odds of a hit by a factor
c. Against a rate r, k hits in n rollouts are worth

    E = mean over c of  c**k / (1 + (c - 1) * r)**n.

One rollout that hits with probability p changes a term by a factor whose mean is
(1 + (c - 1) * p) / (1 + (c - 1) * r). That is at most 1 for c < 1 and p >= r, and for
c > 1 and p <= r. So E is a nonnegative supermartingale that starts at 1, and whatever
the reason to stop, the chance that it ever reaches 1/error is at most error (Ville
1939; Ramdas et al. 2023, Statist. Sci. 38:576). Nothing is asked of the number of
looks, of who stops, or of how many rollouts were planned.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspect_lda.errors import LDAError
from inspect_lda.statistics.intervals import Interval, Side, check_counts

Counts = npt.ArrayLike

FEWER = (0.0, 1 / 16, 1 / 4)
"""Odds factors that speak for a rate below: none at all, far fewer, fewer."""
MORE = (5.0, 20.0, 80.0)
"""Odds factors that speak for a rate above."""


class EProcess(NamedTuple):
    """Evidence against one rate, from one side.

    Attributes:
        rate: The rate that is spoken against.
        odds: Factors on its odds, all below 1 (against "the rate, or more") or all
            above 1 (against "the rate, or less"), mixed in equal parts.
    """

    rate: float
    odds: tuple[float, ...]

    def log_e(self, k: Counts, n: Counts) -> npt.NDArray[np.float64]:
        """Natural logarithm of E after k hits in n rollouts; arrays go by element."""
        hits, rollouts = np.asarray(k, float), np.asarray(n, float)
        terms = [_log_term(c, self.rate, hits, rollouts) for c in self.odds]
        mixed = np.logaddexp.reduce(terms) - math.log(len(terms))
        return np.asarray(mixed, np.float64)

    def reaches(self, k: int, n: int, error: float) -> bool:
        """Whether the evidence is 1/error or more."""
        return bool(self.log_e(k, n) >= -math.log(error))


def confidence_sequence(
    k: int, n: int, confidence: float = 0.95, side: Side = "both"
) -> Interval:
    """Interval of a rate that holds at all n at once.

    All rates against which an e-process has not reached 1/error. Wider than
    Clopper-Pearson at any one n (0 of 330: 1.0%, there 0.9%), but it may be looked at
    after every rollout.

    Args:
        k: Hits among the first n rollouts, in an order that does not depend on them.
        n: Rollouts.
        confidence: Coverage at all n together, at least.
        side: "upper" puts all of the error above, "lower" below.
    """
    check_counts(k, n, confidence)
    error = (1 - confidence) / (2 if side == "both" else 1)
    lower = 0.0 if side == "upper" else _root(k, n, MORE, error)
    upper = 1.0 if side == "lower" else _root(k, n, FEWER, error)
    return Interval(lower, upper)


def check_rates(ok: float, bad: float) -> None:
    """Refuse two rates between which nothing can be decided.

    Raises:
        LDAError: If not 0 < ok < bad < 1.
    """
    if not 0 < ok < bad < 1:
        raise LDAError(
            f"r_ok={ok}, r_bad={bad}: need 0 < r_ok < r_bad < 1, the largest rate that "
            "is fine and the smallest that is not, e.g. 0.002 and 0.01. No number of "
            "rollouts tells 0 from a rate that is small enough"
        )


def _log_term(
    c: float, rate: float, k: npt.NDArray[np.float64], n: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    decay = math.log1p((c - 1) * rate) if (c - 1) * rate > -1 else -math.inf
    with np.errstate(invalid="ignore"):
        spent = np.where(n == 0, 0.0, n * decay)
        gained = np.where(k == 0, 0.0, k * (math.log(c) if c > 0 else -math.inf))
        # Of "never a hit" nothing is left after the first, not even against rate 1.
        return np.where(np.isneginf(gained), -np.inf, gained - spent)


def _root(k: int, n: int, odds: tuple[float, ...], error: float) -> float:
    """The rate against which the evidence is just 1/error; it is monotone in the rate.

    Without such a rate nothing is excluded: the end of the side in question.
    """
    from scipy.optimize import brentq

    def beyond(rate: float) -> float:
        return float(EProcess(rate, odds).log_e(k, n)) + math.log(error)

    low, high = 0.0, 1.0
    above = odds == FEWER
    if beyond(high if above else low) <= 0:
        return high if above else low
    if math.isinf(beyond(high)):
        high = math.nextafter(1.0, 0.0)
    return float(brentq(beyond, low, high, xtol=1e-12))
