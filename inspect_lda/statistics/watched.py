"""A rate under test whose rollouts come back in any order.

Rollouts count in the order in which they were planned, not in which they came back.
Where hits take longer than other replies, the first n that come back hold too few
hits, and a test on them passes bad models. What is still out is counted against either
verdict: as a hit for PASS, as none for FAIL. So is a rollout that could not be scored.
Both only delay a verdict.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspect_lda.statistics.eprocess import confidence_sequence
from inspect_lda.statistics.intervals import Interval
from inspect_lda.statistics.sequential import Ints, Outcome, RateTest, bounds


class Decision(NamedTuple):
    """A verdict and when it was reached.

    Attributes:
        outcome: PASS or FAIL.
        k: Hits that were counted, in the planned order.
        n: Rollouts that decided it.
    """

    outcome: Outcome
    k: int
    n: int


class Prefix(NamedTuple):
    """The longest run of planned places that all came back.

    Attributes:
        hits: Hits.
        unscored: Rollouts that cannot be scored.
        n: Rollouts, these included.
    """

    hits: int
    unscored: int
    n: int

    def interval(self, confidence: float) -> Interval:
        """Bounds of the rate that hold at any time, one-sided both.

        What cannot be scored counts as a hit in the upper one, as none in the lower.
        """
        k, n = self.hits, self.n
        return Interval(
            confidence_sequence(k, n, confidence, "lower").lower,
            confidence_sequence(k + self.unscored, n, confidence, "upper").upper,
        )


@dataclass
class Watched:
    """One rate under test, its rollouts coming back in any order.

    Attributes:
        test: What is to be decided.
        planned: How many rollouts there will be at most.
        outcomes: By planned place: 1 for a hit, 0 for none, -1 as long as nothing came
            back, -2 for what came back and cannot be scored.
        decision: The first verdict, once there is one. It stays.
    """

    test: RateTest
    planned: int
    outcomes: npt.NDArray[np.int8] = field(init=False)
    decision: Decision | None = field(default=None, init=False)
    _seen: int = field(default=0, init=False)
    _closed: Prefix = field(default=Prefix(0, 0, 0), init=False)

    def __post_init__(self) -> None:
        self.outcomes = np.full(self.planned, -1, np.int8)

    def record(self, place: int, hit: bool | None) -> None:
        """Note what came back from a planned place; None: it cannot be scored."""
        self.outcomes[place] = -2 if hit is None else hit
        self._seen = max(self._seen, place + 1)
        if self.decision is None:
            # Only a hit can bring a FAIL, and a PASS needs enough rollouts.
            if hit or self._may_pass(self._seen):
                self.decision = self._decide()
            self._close()

    def passes_without_hits(self, begun: int) -> bool:
        """Whether the first so many rollouts pass if no hit comes back any more."""
        if not self._may_pass(begun):
            return False
        limit = bounds(self.test, self.planned).passes
        found = self.outcomes[self._closed.n : begun]
        k = self._closed.hits + self._closed.unscored
        most = k + np.cumsum((found == 1) | (found == -2))
        n = self._closed.n + np.arange(1, len(found) + 1)
        return bool((n >= _at(limit, most, math.inf)).any())

    def _decide(self) -> Decision | None:
        """Look at all places that can still bring a verdict."""
        closed = self._closed
        found = self.outcomes[closed.n : self._seen]
        n = closed.n + np.arange(1, len(found) + 1)
        most = closed.hits + closed.unscored + np.cumsum(found != 0)
        least = closed.hits + np.cumsum(found == 1)
        limit = bounds(self.test, self.planned)
        passed = n >= _at(limit.passes, most, math.inf)
        failed = n <= _at(limit.fails, least, limit.fails[-1])
        decided = np.flatnonzero(passed | failed)
        if not len(decided):
            return None
        at = int(decided[0])
        if passed[at]:
            return Decision("pass", int(most[at]), int(n[at]))
        return Decision("fail", int(least[at]), int(n[at]))

    def _may_pass(self, n: int) -> bool:
        """Whether that many rollouts pass with the hits known without a gap alone."""
        limit = bounds(self.test, self.planned).passes
        k = self._closed.hits + self._closed.unscored
        return k < len(limit) and n >= int(limit[k])

    def _close(self) -> None:
        """Places before the first that is out can bring none: they were looked at."""
        hits, unscored, n = self._closed
        while n < self._seen and self.outcomes[n] != -1:
            hits += int(self.outcomes[n] == 1)
            unscored += int(self.outcomes[n] == -2)
            n += 1
        self._closed = Prefix(hits, unscored, n)

    @property
    def log_e(self) -> tuple[float, float]:
        """Most evidence so far for PASS and for FAIL, in nats; 0 before any."""
        found = self.outcomes[: self._seen]
        n = np.arange(1, len(found) + 1)
        passed = self.test.passing.log_e(np.cumsum(found != 0), n)
        failed = self.test.failing.log_e(np.cumsum(found == 1), n)
        return float(max(passed, default=0.0)), float(max(failed, default=0.0))

    @property
    def prefix(self) -> "Prefix":
        """What is known without a gap from the first place on."""
        still = np.flatnonzero(self.outcomes == -1)
        n = int(still[0]) if len(still) else self.planned
        known = self.outcomes[:n]
        return Prefix(int((known == 1).sum()), int((known == -2).sum()), n)


def _at(limit: Ints, k: Ints, beyond: float) -> npt.NDArray[np.float64]:
    """The bound at every k; `beyond` for those that it does not list."""
    listed = limit[np.minimum(k, len(limit) - 1)]
    return np.where(k < len(limit), listed, beyond)
