"""Koopman's interval of a ratio."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from inspect_lda.errors import LDAError
from inspect_lda.statistics.factors import amplification_factor, koopman


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # Koopman 1984, Biometrics 40:513, worked example: (2.94, 7.15).
        ((36, 40, 16, 80), (2.9396, 7.1522)),
        # statsmodels 0.14, confint_proportions_2indep(method="score",
        # compare="ratio", correction=False).
        ((33, 1000, 3, 1000), (3.5990, 33.7180)),
        ((12, 1000, 2, 1000), (1.5091, 23.9070)),
        ((10, 10, 5, 20), (2.1336, 8.9396)),
    ],
)
def test_published_values(
    counts: tuple[int, int, int, int], expected: tuple[float, float]
) -> None:
    assert koopman(*counts) == pytest.approx(expected, rel=1e-4)


def test_everything_hits_has_a_closed_form() -> None:
    # R PropCIs 0.3-0, riskscoreci, case x1 = n1 and x2 = n2.
    z2 = float(ndtri(0.975)) ** 2
    assert koopman(30, 30, 50, 50) == pytest.approx((30 / (30 + z2), (50 + z2) / 50))


def test_no_base_hits_still_give_a_lower_bound() -> None:
    factor = amplification_factor(33, 1000, 0, 1000)
    assert factor.estimate == math.inf
    # R PropCIs 0.3-0, riskscoreci, and statsmodels 0.14 agree on both.
    assert factor.lower == pytest.approx(8.6201, abs=1e-4)
    assert factor.upper == math.inf
    assert koopman(33, 1000, 0, 10_000).lower == pytest.approx(85.9345, abs=1e-4)


def test_only_base_hits_give_an_upper_bound() -> None:
    factor = amplification_factor(0, 1000, 5, 1000)
    assert (factor.estimate, factor.lower) == (0.0, 0.0)
    assert 0 < factor.upper < 1


@pytest.mark.parametrize("counts", [(0, 10, 0, 10), (0, 0, 3, 10), (3, 10, 0, 0)])
def test_nothing_known(counts: tuple[int, int, int, int]) -> None:
    assert koopman(*counts) == (0.0, math.inf)


def test_zero_over_zero_has_no_estimate() -> None:
    assert math.isnan(amplification_factor(0, 10, 0, 10).estimate)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(LDAError, match="k=11"):
        koopman(11, 10, 0, 10)


def arm(least: int = 0) -> st.SearchStrategy[tuple[int, int]]:
    return st.integers(max(1, least), 100_000).flatmap(
        lambda n: st.tuples(st.integers(least, n), st.just(n))
    )


@given(arm(1), arm(1))
def test_holds_the_estimate_and_inverts(
    one: tuple[int, int], base: tuple[int, int]
) -> None:
    factor = amplification_factor(*one, *base)
    assert factor.lower <= factor.estimate <= factor.upper
    mirrored = koopman(*base, *one)
    assert mirrored == pytest.approx((1 / factor.upper, 1 / factor.lower), rel=1e-5)


@given(arm(), arm())
def test_never_fails_and_is_ordered(
    one: tuple[int, int], base: tuple[int, int]
) -> None:
    lower, upper = koopman(*one, *base)
    assert 0 <= lower <= upper
    assert not math.isnan(upper)
