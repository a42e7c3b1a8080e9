"""The interval of weighted hits, against exact ones and by hand."""

import numpy as np
import pytest
from scipy.stats import chi2, gamma

from inspect_lda.statistics.weighted import (
    effective,
    population_interval,
    weighted_interval,
)


def contributions(*hits: float, n: int) -> np.ndarray:
    return np.array([*hits, *[0.0] * (n - len(hits))])


def test_equal_weights_are_a_poisson_count() -> None:
    # Garwood 1936: chi-square quantiles with 2k and 2k + 2 degrees of freedom.
    found = weighted_interval(contributions(*[2.0] * 12, n=10**6))
    exact = chi2.ppf(0.025, 24) / 2, chi2.ppf(0.975, 26) / 2
    assert tuple(found) == pytest.approx([2e-6 * one for one in exact], rel=1e-4)


def test_unequal_weights_by_hand() -> None:
    # Hits 1, 2, 5 of 1000: sum 8, variance 30 - 64 / 1000; above, 13 and + 25.
    variance = 30 - 0.064
    lower = gamma.ppf(0.05, 64 / variance, scale=variance / 8)
    upper = gamma.ppf(0.95, 169 / (variance + 25), scale=(variance + 25) / 13)
    found = weighted_interval(contributions(1, 2, 5, n=1000), confidence=0.9)
    assert tuple(found) == pytest.approx((lower / 1000, upper / 1000))


def test_no_hit_has_no_upper_bound() -> None:
    # What one hit would weigh is not known.
    assert weighted_interval(np.zeros(50)) == (0.0, np.inf)


def test_hits_without_misses_scatter_no_more_than_their_weights() -> None:
    found = weighted_interval(np.full(100, 3e-4))
    assert found.lower <= 3e-4 <= found.upper
    assert found.upper < 3.5e-4


def test_effective_numbers() -> None:
    assert effective(np.array([3.0, 3.0, 3.0])) == pytest.approx(3)
    assert effective(np.array([1e9, 1.0])) == pytest.approx(1)
    assert effective(np.zeros(3)) == effective(np.array([])) == 0


def test_a_population_needs_prompts_that_carry_it() -> None:
    rng = np.random.default_rng(1)
    even = 1e-5 * np.exp(rng.standard_normal(100))
    found = population_interval(even)
    assert found is not None
    assert found.lower < even.mean() < found.upper
    assert population_interval(even[:3]) is None
    assert population_interval(1e-5 * np.exp(3 * rng.standard_normal(100))) is None
