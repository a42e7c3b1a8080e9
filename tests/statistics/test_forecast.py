"""Forecasts: arithmetic by hand, and the worst prompt where the tail is known."""

import numpy as np
import pytest

from inspect_lda.errors import LDAError
from inspect_lda.statistics.forecast import NO_TAIL, TAILED, forecast, worst_of
from inspect_lda.statistics.true_rate import true_rate


def known(rates: np.ndarray) -> dict[str, float]:
    return {str(i): float(np.log(rate)) for i, rate in enumerate(rates)}


def test_hits_expected_and_at_least_one_by_hand() -> None:
    found = forecast(true_rate(known=known(np.array([1e-4, 3e-4]))), 10_000)
    assert tuple(found.expected) == pytest.approx((2.0, 2.0))
    assert tuple(found.any_hit) == pytest.approx((1 - (1 - 2e-4) ** 10_000,) * 2)
    assert found.worst is None
    assert NO_TAIL in found.assumptions


def test_the_worst_prompt_is_where_its_interval_says() -> None:
    # -log(-log p) exponential: the largest of n is drawn, 300 times.
    rng = np.random.default_rng(1)
    covered, n = [], 100_000
    for _ in range(300):
        rates = np.exp(-np.exp(-rng.exponential(0.15, 100) + 2.5))
        largest = np.exp(-np.exp(-rng.exponential(0.15, n).max() + 2.5))
        told = worst_of(rates, n)
        assert told is not None
        covered.append(told.lower <= largest <= told.upper)
    # 285 of 300 expected, with a standard deviation of 3.8.
    assert 273 <= sum(covered) <= 297


def test_more_prompts_find_a_worse_one() -> None:
    rng = np.random.default_rng(2)
    rates = np.exp(-rng.gamma(8.0, 1.0, 60))
    few, many = worst_of(rates, 100), worst_of(rates, 100_000)
    assert few is not None
    assert many is not None
    assert many.lower > few.lower
    assert many.upper > few.upper
    found = forecast(true_rate(known=known(rates)), 1000)
    assert TAILED in found.assumptions


def test_prompts_without_a_rate_have_no_tail() -> None:
    rates = np.zeros(60)
    rates[:10] = 0.1
    assert worst_of(rates, 1000) is None
    rates[10] = 0.01
    assert worst_of(rates, 1000) is not None


def test_nothing_is_forecast_from_nothing() -> None:
    with pytest.raises(LDAError, match="volume=0"):
        forecast(true_rate(known={"a": -3.0}), 0)
