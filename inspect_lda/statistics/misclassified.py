"""The rate behind a judge that errs (Rogan and Gladen 1978, Am. J. Epidemiol. 107:71).

Of replies with the behaviour a judge finds a share, its sensitivity; of those without
it calls a share hits nevertheless, 1 - specificity. Both are measured on labelled
replies, with an error of their own, which the bounds here carry through.
"""

import math
from dataclasses import dataclass

from inspect_lda.errors import LDAError
from inspect_lda.statistics.bounds import Bounds
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.intervals import check_counts, clopper_pearson


@dataclass(frozen=True)
class Judged:
    """How a judge did on labelled replies.

    Attributes:
        found: Hits among replies that have the behaviour, and those replies.
        false: Hits among replies that do not have it, and those replies.
    """

    found: Cluster
    false: Cluster

    def __post_init__(self) -> None:
        for cell in (self.found, self.false):
            check_counts(*cell)
            if cell.n == 0:
                raise LDAError(
                    "a judge's errors need labelled replies of both kinds, got "
                    f"{self.found.n} with the behaviour and {self.false.n} without"
                )

    @property
    def sensitivity(self) -> float:
        """Share that is found."""
        return self.found.k / self.found.n

    @property
    def specificity(self) -> float:
        """Share that is rightly left alone."""
        return 1 - self.false.k / self.false.n


def rogan_gladen(rate: float, judged: Judged) -> float:
    """The rate behind a rate that was judged, cut to [0, 1]; NaN for a blind judge."""
    power = judged.sensitivity + judged.specificity - 1
    if power <= 0:
        return math.nan
    return min(1.0, max(0.0, (rate + judged.specificity - 1) / power))


@dataclass(frozen=True)
class Corrected:
    """Bounds of the rate behind bounds of a judged rate.

    The error is split evenly over the rate, the sensitivity and the specificity, each
    at its bad end (Bonferroni): the bounds hold whatever the judge's errors are.

    Attributes:
        judged_rate: Bounds of the rate as the judge sees it.
        judged: The judge.
    """

    judged_rate: Bounds
    judged: Judged

    def upper(self, error: float) -> float:
        """See `Bounds`; 1 where the judge may be blind."""
        part = error / 3
        found, false = self._found(part, "lower"), self._false(part, "lower")
        if found <= false:
            return 1.0
        return min(
            1.0, max(0.0, self.judged_rate.upper(part) - false) / (found - false)
        )

    def lower(self, error: float) -> float:
        """See `Bounds`; 0 where false hits may explain all of them."""
        part = error / 3
        found, false = self._found(part, "upper"), self._false(part, "upper")
        over = self.judged_rate.lower(part) - false
        if over <= 0 or found <= false:
            return 0.0
        return min(1.0, over / (found - false))

    def grown(self, factor: float) -> "Corrected":
        """See `Bounds`; labelled replies do not grow with the rollouts."""
        return Corrected(self.judged_rate.grown(factor), self.judged)

    def _found(self, error: float, end: str) -> float:
        return _end(self.judged.found, error, end)

    def _false(self, error: float, end: str) -> float:
        return _end(self.judged.false, error, end)


def _end(cell: Cluster, error: float, end: str) -> float:
    if end == "lower":
        return clopper_pearson(*cell, 1 - error, "lower").lower
    return clopper_pearson(*cell, 1 - error, "upper").upper
