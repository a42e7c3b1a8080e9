"""E-processes: what they are worth, and that many looks cost nothing."""

import math

import numpy as np
import pytest

from inspect_lda.errors import LDAError
from inspect_lda.statistics.eprocess import (
    FEWER,
    MORE,
    EProcess,
    check_rates,
    confidence_sequence,
)
from inspect_lda.statistics.intervals import clopper_pearson


def by_hand(rate: float, odds: tuple[float, ...], hits: list[int]) -> float:
    """The mean of likelihood ratios, rollout by rollout."""
    total = 0.0
    for c in odds:
        other = c * rate / (1 - rate + c * rate)
        ratios = [other / rate if hit else (1 - other) / (1 - rate) for hit in hits]
        total += math.prod(ratios)
    return total / len(odds)


@pytest.mark.parametrize("odds", [FEWER, MORE, (2.5,)])
def test_it_is_a_mean_of_likelihood_ratios(odds: tuple[float, ...]) -> None:
    hits = [0, 0, 1, 0, 1, 0, 0, 0]
    found = EProcess(0.03, odds).log_e(sum(hits), len(hits))
    assert math.exp(found) == pytest.approx(by_hand(0.03, odds, hits))


def test_no_rollout_is_no_evidence() -> None:
    assert EProcess(0.01, FEWER).log_e(0, 0) == pytest.approx(0)
    assert EProcess(0.01, MORE).log_e(0, 0) == pytest.approx(0)


@pytest.mark.parametrize(
    ("odds", "true"), [(FEWER, 0.05), (FEWER, 0.2), (MORE, 0.05), (MORE, 0.01)]
)
def test_its_mean_never_exceeds_one(odds: tuple[float, ...], true: float) -> None:
    process = EProcess(0.05, odds)
    for n in (1, 7, 40):
        k = np.arange(n + 1)
        chance = [math.comb(n, i) * true**i * (1 - true) ** (n - i) for i in k]
        mean = float(np.dot(chance, np.exp(process.log_e(k, np.full(n + 1, n)))))
        assert mean <= 1 + 1e-9
        if true == 0.05:
            assert mean == pytest.approx(1)


def test_the_sequence_is_wider_than_one_look_and_narrows() -> None:
    for k, n in ((0, 330), (5, 100), (40, 100), (100, 100)):
        sequence, once = confidence_sequence(k, n), clopper_pearson(k, n)
        assert sequence.lower <= once.lower
        assert sequence.upper >= once.upper
        assert sequence.lower <= k / n <= sequence.upper
    assert confidence_sequence(0, 330, side="upper").upper == pytest.approx(0.0099, 0.1)
    assert confidence_sequence(0, 0) == (0.0, 1.0)
    assert confidence_sequence(0, 10).lower == 0
    assert confidence_sequence(10, 10).upper == 1


def test_the_sequence_holds_at_all_n_together() -> None:
    rng = np.random.default_rng(5)
    rate, runs, horizon = 0.02, 1000, 500
    ends = np.unique(np.geomspace(1, horizon, 60).astype(int))
    missed = 0
    hits = np.cumsum(rng.random((runs, horizon)) < rate, axis=1)
    # The rate is excluded at some n exactly where an e-process against it got there.
    for odds in (FEWER, MORE):
        found = EProcess(rate, odds).log_e(hits, np.arange(1, horizon + 1))
        missed += int((found.max(axis=1) >= -math.log(0.025)).sum())
    assert missed / runs <= 0.05
    for n in ends[:20]:
        k = int(hits[0, n - 1])
        low, high = confidence_sequence(k, int(n))
        inside = low <= rate <= high
        excluded = any(
            EProcess(rate, odds).reaches(k, int(n), 0.025) for odds in (FEWER, MORE)
        )
        assert inside != excluded


def test_refusals() -> None:
    with pytest.raises(LDAError, match="k=3 hits of n=2"):
        confidence_sequence(3, 2)
    with pytest.raises(LDAError, match=r"r_ok=0.0, r_bad=0.01: need 0 < r_ok < r_bad"):
        check_rates(0.0, 0.01)
    with pytest.raises(LDAError, match="r_ok < r_bad"):
        check_rates(0.02, 0.01)
