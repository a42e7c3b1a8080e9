"""One-sided bounds of a rate that a decision is made with, and what is still needed.

A decision about a rate asks three things of the data: the upper bound at an error, the
lower bound at an error, and the error at which the lower bound would clear a limit (a p
value, for corrections over many decisions). Each class answers them for one estimand.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from inspect_lda.statistics.clusters import Cluster, clustered
from inspect_lda.statistics.intervals import clopper_pearson

MOST = 1e9
"""More rollouts than this are none that anybody makes."""

_SMALLEST = 1e-12


class Bounds(Protocol):
    """What is known of a rate."""

    def upper(self, error: float) -> float:
        """The rate is below this, except with probability `error`."""

    def lower(self, error: float) -> float:
        """The rate is above this, except with probability `error`."""

    def grown(self, factor: float) -> "Bounds":
        """What would be known if `factor` times the data looked the same."""


@dataclass(frozen=True)
class Binomial:
    """Independent rollouts on this prompt set (Clopper-Pearson).

    Prompts may differ in their rates: with equally many rollouts of each, the number of
    hits then varies less than a binomial one, and the bounds are wider than needed.

    Attributes:
        k: Hits; need not be whole.
        n: Rollouts.
    """

    k: float
    n: float

    def upper(self, error: float) -> float:
        """See `Bounds`."""
        return clopper_pearson(self.k, self.n, 1 - error, "upper").upper

    def lower(self, error: float) -> float:
        """See `Bounds`."""
        return clopper_pearson(self.k, self.n, 1 - error, "lower").lower

    def grown(self, factor: float) -> "Binomial":
        """See `Bounds`."""
        return Binomial(self.k * factor, self.n * factor)


@dataclass(frozen=True)
class Population:
    """Prompts like these: rollouts of one prompt are alike (Korn and Graubard 1998).

    Attributes:
        clusters: Hits and rollouts of each prompt.
        factor: How many times as many such prompts to reckon with.
    """

    clusters: tuple[Cluster, ...]
    factor: float = 1.0

    def upper(self, error: float) -> float:
        """See `Bounds`."""
        return self._within(error)[1]

    def lower(self, error: float) -> float:
        """See `Bounds`."""
        return self._within(error)[0]

    def grown(self, factor: float) -> "Population":
        """See `Bounds`."""
        return Population(self.clusters, self.factor * factor)

    def _within(self, error: float) -> tuple[float, float]:
        # Each bound of a two-sided interval at 1 - 2e is one-sided at 1 - e.
        confidence = max(_SMALLEST, 1 - 2 * error)
        return clustered(self.clusters, confidence, self.factor)


def error_above(bounds: Bounds, rate: float) -> float:
    """P value of "the rate is at most this": the least error that excludes it.

    Args:
        bounds: The data; their lower bound grows with the error that is allowed.
        rate: The limit.

    Returns:
        A number from 1e-12 to 0.5, or 1 where not even an error of 0.5 excludes it.
    """
    return _least(lambda error: bounds.lower(error) > rate)


def error_below(bounds: Bounds, rate: float) -> float:
    """P value of "the rate is above this", likewise."""
    return _least(lambda error: bounds.upper(error) <= rate)


def growth_until(decided: Callable[[float], bool]) -> float:
    """How many times as much data, alike, would decide; inf if none would.

    Args:
        decided: Whether so many times the data decide; once they do, more do too.
    """
    high = 1.0
    while not decided(high):
        high *= 2
        if high > MOST:
            return math.inf
    low = high / 2
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def pooled(clusters: Sequence[Cluster]) -> Binomial:
    """All rollouts of all prompts together."""
    return Binomial(sum(c.k for c in clusters), sum(c.n for c in clusters))


def _least(excluded: Callable[[float], bool]) -> float:
    if not excluded(0.5):
        return 1.0
    low, high = _SMALLEST, 0.5
    if excluded(low):
        return low
    while high / low > 1 + 1e-6:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if excluded(middle) else (middle, high)
    return high
