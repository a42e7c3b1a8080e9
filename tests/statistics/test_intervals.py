"""Clopper-Pearson and Wilson against published values, and properties."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from inspect_lda.errors import LDAError
from inspect_lda.statistics.intervals import clopper_pearson, wilson

# Newcombe 1998, Statistics in Medicine 17:857, Table I: (k, n, exact, Wilson).
NEWCOMBE = [
    (81, 263, (0.2527, 0.3676), (0.2553, 0.3662)),
    (15, 148, (0.0578, 0.1617), (0.0624, 0.1605)),
    (0, 20, (0.0000, 0.1684), (0.0000, 0.1611)),
    (1, 29, (0.0009, 0.1776), (0.0061, 0.1718)),
]


@pytest.mark.parametrize(("k", "n", "exact", "score"), NEWCOMBE)
def test_published_values(
    k: int, n: int, exact: tuple[float, float], score: tuple[float, float]
) -> None:
    assert clopper_pearson(k, n) == pytest.approx(exact, abs=5e-5)
    assert wilson(k, n) == pytest.approx(score, abs=5e-5)


def test_one_sided_bound_at_zero_is_the_rule_of_three() -> None:
    lower, upper = clopper_pearson(0, 1000, side="upper")
    assert lower == 0
    assert upper == pytest.approx(0.0029913, abs=1e-7)  # 1 - 0.05 ** (1 / 1000)
    assert clopper_pearson(1000, 1000, side="lower") == pytest.approx(
        (1 - upper, 1.0), abs=1e-12
    )


def test_no_rollouts_say_nothing() -> None:
    assert clopper_pearson(0, 0) == wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("k", "n", "confidence"),
    [(-1, 10, 0.95), (11, 10, 0.95), (math.nan, 10, 0.95), (1, math.inf, 0.95)]
    + [(1, 10, c) for c in (0.0, 1.0, 95.0, math.nan)],
)
def test_impossible_input_is_refused(k: float, n: float, confidence: float) -> None:
    for interval in (clopper_pearson, wilson):
        with pytest.raises(LDAError, match="need"):
            interval(k, n, confidence)


counts = st.integers(1, 5000).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.just(n))
)


@given(counts, st.floats(0.5, 0.999))
def test_agrees_with_scipy(count: tuple[int, int], confidence: float) -> None:
    k, n = count
    for ours, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
        theirs = binomtest(k, n).proportion_ci(confidence, method)
        assert ours(k, n, confidence) == pytest.approx(
            (theirs.low, theirs.high), rel=1e-6, abs=1e-9
        )


@given(counts)
def test_holds_the_estimate_mirrors_and_widens(count: tuple[int, int]) -> None:
    k, n = count
    for interval in (clopper_pearson, wilson):
        lower, upper = interval(k, n)
        assert 0 <= lower <= k / n <= upper <= 1
        assert interval(n - k, n) == pytest.approx((1 - upper, 1 - lower), abs=1e-9)
        wider = interval(k, n, 0.99)
        assert wider.lower <= lower
        assert wider.upper >= upper
