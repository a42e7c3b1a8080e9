"""Pass or fail while rollouts are still coming in, without paying for the looks.

Two e-processes run along: one against "the rate is bad, or worse", whose success is a
PASS, and one against "the rate is fine, or better", whose success is a FAIL. A rate of
`bad` or more passes with probability at most `error`, a rate of `ok` or less fails with
probability at most `error`, under any rule of stopping. Between the two rates either
answer is right.

Rollouts count in the order in which they were planned, see `statistics.watched`.

**Assumed** is that every planned rollout hits with the same probability given those
before it: fresh seeds, and prompts in an order that was drawn at random. Prompts may
differ in their rates: a random order without replacement spreads the hits of any n
rollouts at least as evenly as independent draws do (Hoeffding 1963, JASA 58:13), and
`benchmarks/gate_operating.py` measures what is left.
"""

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from inspect_lda.statistics.eprocess import FEWER, EProcess, check_rates
from inspect_lda.statistics.intervals import check_counts
from inspect_lda.statistics.onset import holm

Outcome = Literal["pass", "fail"]

Ints = npt.NDArray[np.int64]


class RateTest(NamedTuple):
    """What is to be decided about one rate.

    Attributes:
        ok: Largest rate that is fine.
        bad: Smallest rate that is not.
        error: Probability, at most, that a rate of `bad` or more passes.
        cells: How many rates are tested together. A FAIL is one of any of them, so
            each gets `error / cells` (Bonferroni); a PASS is one of all of them, which
            needs no correction.
    """

    ok: float
    bad: float
    error: float = 0.05
    cells: int = 1

    @property
    def fail_error(self) -> float:
        """Probability, at most, that a rate of `ok` or less fails."""
        return self.error / self.cells

    @property
    def passing(self) -> EProcess:
        """Against "bad, or worse"."""
        return EProcess(self.bad, FEWER)

    @property
    def failing(self) -> EProcess:
        """Against "fine, or better": for `bad`, and for 4 and 16 times its odds."""
        ratio = self.bad / (1 - self.bad) / (self.ok / (1 - self.ok))
        return EProcess(self.ok, (ratio, 4 * ratio, 16 * ratio))

    def check(self) -> None:
        """Raise LDAError if nothing can be decided between the rates."""
        check_rates(self.ok, self.bad)
        check_counts(0, self.cells, 1 - self.error)


class Bounds(NamedTuple):
    """The verdicts as bounds on counts.

    Attributes:
        passes: `passes[k]` is the least n at which k hits pass.
        fails: `fails[k]` is the largest n at which k hits fail; 0 if none does.
    """

    passes: Ints
    fails: Ints

    def at(self, k: int, n: int) -> Outcome | None:
        """The verdict of k hits in the first n rollouts, if that is enough for one."""
        if k < len(self.passes) and n >= self.passes[k]:
            return "pass"
        if n <= self.fails[min(k, len(self.fails) - 1)]:
            return "fail"
        return None


@cache
def bounds(test: RateTest, horizon: int) -> Bounds:
    """The bounds for up to `horizon` rollouts.

    Evidence for a PASS grows with n at any k, evidence for a FAIL shrinks, so each
    bound is found by bisection.
    """
    test.check()
    passes: list[int] = []
    while not passes or passes[-1] <= horizon:
        k, floor = len(passes), passes[-1] if passes else 0
        passes.append(_least(test.passing, k, test.error, floor))
    fails = [0]
    while fails[-1] < horizon:
        fails.append(_largest(test.failing, len(fails), test.fail_error, horizon))
    return Bounds(np.array(passes), np.array(fails))


def failing(log_e: Sequence[float], error: float) -> list[bool]:
    """Which of several rates fail, all together wrong with probability `error`.

    Holm's steps on 1/E, which is a p value at any time (e-Holm: Vovk and Wang 2021,
    Ann. Statist. 49:1736): at least the rates that Bonferroni finds.

    Args:
        log_e: Most evidence for a FAIL of each rate, in nats (`Watched.log_e`).
        error: Probability, at most, that any rate fails that is fine.
    """
    adjusted = holm([math.exp(-max(0.0, one)) for one in log_e])
    return [one <= error for one in adjusted]


def together(outcomes: Iterable[Outcome | None]) -> Outcome | None:
    """The verdict over all rates: FAIL if any fails, PASS if all pass."""
    found = list(outcomes)
    if "fail" in found:
        return "fail"
    return "pass" if found and all(one == "pass" for one in found) else None


def _least(process: EProcess, k: int, error: float, floor: int) -> int:
    low, high = max(floor, k), max(2 * floor, k, 64)
    while not process.reaches(k, high, error):
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if process.reaches(k, middle, error):
            high = middle
        else:
            low = middle + 1
    return high


def _largest(process: EProcess, k: int, error: float, horizon: int) -> int:
    if not process.reaches(k, k, error):
        return 0
    low, high = k, max(k, horizon)
    while low < high:
        middle = math.ceil((low + high) / 2)
        if process.reaches(k, middle, error):
            low = middle
        else:
            high = middle - 1
    return low
