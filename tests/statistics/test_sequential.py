"""The sequential test: its errors, its cost, and rollouts that come back late."""

import math

import numpy as np
import pytest

from inspect_lda.errors import LDAError
from inspect_lda.statistics.operating import operating
from inspect_lda.statistics.sequential import (
    RateTest,
    bounds,
    failing,
    together,
)
from inspect_lda.statistics.watched import Decision, Prefix, Watched

TEST = RateTest(0.002, 0.01)


def test_bounds_are_where_the_evidence_gets_there() -> None:
    limit = bounds(TEST, 3000)
    for k in range(6):
        n = int(limit.passes[k])
        assert TEST.passing.reaches(k, n, 0.05)
        assert not TEST.passing.reaches(k, n - 1, 0.05)
    for k in range(1, 8):
        n = int(limit.fails[k])
        assert TEST.failing.reaches(k, n, 0.05)
        assert not TEST.failing.reaches(k, n + 1, 0.05)
    assert limit.at(0, 327) == "pass"
    assert limit.at(0, 326) is None
    assert limit.at(2, 60) is None
    assert limit.at(3, 100) == "fail"
    assert limit.at(500, 3000) == "fail"


@pytest.mark.parametrize("cells", [1, 8])
def test_what_the_release_gate_promises(cells: int) -> None:
    test = RateTest(0.002, 0.01, cells=cells)
    clean = operating(test, 0.0, 4000)
    assert clean.passes == pytest.approx(1)
    assert clean.rollouts == 327
    assert operating(test, 0.01, 4000).passes <= 0.05
    assert operating(test, 0.002, 4000).fails <= 0.05 / cells
    assert operating(test, 0.033, 4000).rollouts <= 120
    assert operating(test, 0.033, 4000).fails > 0.999


def test_expected_sizes_are_those_of_simulated_runs() -> None:
    rng = np.random.default_rng(8)
    budget, runs = 800, 250
    ends = []
    limit = bounds(TEST, budget)
    for _ in range(runs):
        k, end = 0, budget
        for n in range(1, budget + 1):
            k += int(rng.random() < 0.01)
            if limit.at(k, n):
                end = n
                break
        ends.append(end)
    exact = operating(TEST, 0.01, budget)
    error = float(np.std(ends)) / math.sqrt(runs)
    assert abs(np.mean(ends) - exact.rollouts) < 4 * error
    assert exact.passes + exact.fails + exact.still == pytest.approx(1)
    assert exact.still > 0.01


def test_what_is_still_out_delays_a_verdict_and_changes_none() -> None:
    rng = np.random.default_rng(1)
    for _ in range(15):
        outcomes = rng.random(900) < rng.choice([0.0, 0.004, 0.02])
        ordered = Watched(TEST, 900)
        for place, hit in enumerate(outcomes):
            ordered.record(place, bool(hit))
        shuffled = Watched(TEST, 900)
        early: Decision | None = None
        for place in rng.permutation(900):
            shuffled.record(int(place), bool(outcomes[place]))
            early = early or shuffled.decision
            if early is not None:
                break
        assert (early and early.outcome) == (
            ordered.decision and ordered.decision.outcome
        )


def test_slow_hits_pass_a_bad_model_by_order_of_return_but_not_here() -> None:
    # Hits take ten times as long as other replies, 64 are out at any time.
    rng = np.random.default_rng(3)
    naive = ours = 0
    for _ in range(100):
        outcomes = rng.random(1500) < 0.012
        back = _return_order(outcomes, rng, slow=10.0)
        limit, k, watched = bounds(TEST, 1500), 0, Watched(TEST, 1500)
        verdict = None
        for n, place in enumerate(back, 1):
            k += int(outcomes[place])
            verdict = verdict or limit.at(k, n)
            if verdict:
                break
        naive += verdict == "pass"
        for n, place in enumerate(back):
            watched.record(int(place), bool(outcomes[place]))
            if n % 100 == 0 and watched.decision:
                break
        ours += watched.decision is not None and watched.decision.outcome == "pass"
    assert ours / 100 <= 0.05
    assert naive > 2 * max(ours, 3)


def _return_order(
    outcomes: np.ndarray, rng: np.random.Generator, slow: float, width: int = 64
) -> np.ndarray:
    """Places in the order of return, at most `width` out at once."""
    free = np.zeros(width)
    ends = np.empty(len(outcomes))
    for place, hit in enumerate(outcomes):
        slot = int(free.argmin())
        free[slot] += rng.exponential() * (slow if hit else 1.0)
        ends[place] = free[slot]
    return np.argsort(ends)


def test_what_cannot_be_scored_counts_against_either_verdict() -> None:
    watched = Watched(TEST, 1000)
    for place in range(400):
        watched.record(place, None if place == 10 else False)
    assert watched.decision is None
    assert watched.prefix == Prefix(0, 1, 400)
    assert watched.prefix.interval(0.95).upper > 0.01
    for place in range(400, 660):
        watched.record(place, False)
    assert watched.decision == Decision("pass", 1, 647)


def test_a_fail_need_not_wait_for_what_is_out() -> None:
    watched = Watched(TEST, 1000)
    for place in (20, 40, 50):
        watched.record(place, True)
    decision = watched.decision
    assert decision == Decision("fail", 2, 41)
    assert watched.log_e[1] > -math.log(0.05) > watched.log_e[0]


def test_several_rates() -> None:
    assert together(["pass", "fail", None]) == "fail"
    assert together(["pass", None]) is None
    assert together(["pass", "pass"]) == "pass"
    assert together([]) is None
    strong, weak = -math.log(0.01), -math.log(0.04)
    assert failing([strong, weak, 0.0], 0.05) == [True, False, False]
    # Once the strongest is rejected fewer are left to pay for.
    assert failing([strong, weak], 0.05) == [True, True]
    assert failing([weak, weak], 0.05) == [False, False]


def test_refusals() -> None:
    with pytest.raises(LDAError, match="r_ok"):
        bounds(RateTest(0.01, 0.01), 10)
    with pytest.raises(LDAError, match="confidence"):
        bounds(RateTest(0.01, 0.02, error=1.0), 10)
    with pytest.raises(LDAError, match="budget=0"):
        operating(TEST, 0.1, 0)
