"""The interval of weighted hits, against exact ones and by hand."""

import numpy as np
import pytest
from scipy.stats import chi2, gamma

from inspect_lda.statistics.weighted import (
    effective,
    population_interval,
    rate_interval,
    weighted_interval,
)
from inspect_lda.statistics.weights import Weighed


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


def weighed(*hits: int) -> Weighed:
    """Prompts with 100 rollouts and that many hits each, all of one weight."""
    prompt = np.repeat(np.arange(len(hits)), 100)
    values = np.concatenate([contributions(*[1e-4] * k, n=100) for k in hits])
    names = tuple(map(str, range(len(hits))))
    return Weighed("mixture", (0.0, 1.0), np.zeros(len(values)), values, prompt, names)


def test_prompts_without_a_hit_raise_the_upper_bound() -> None:
    all_hit, some_not = weighed(20, 10, 30, 1), weighed(20, 10, 30, 0)
    assert rate_interval(all_hit) == weighted_interval(all_hit.contribution)
    found = rate_interval(some_not)
    assert found.lower == weighted_interval(some_not.contribution).lower
    assert found.upper == weighted_interval(some_not.by_prompt).upper
    # Hits that are too few for all prompts to have one raise it hardly.
    few = weighed(*[1] * 12, *[0] * 88)
    alone = weighted_interval(few.contribution)
    assert rate_interval(few).upper == pytest.approx(alone.upper, rel=0.02)
