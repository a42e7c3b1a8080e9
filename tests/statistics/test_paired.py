"""Differences within pairs."""

import numpy as np
import pytest

from inspect_lda.errors import LDAError
from inspect_lda.statistics.paired import paired_difference

# R: t.test(extra ~ group, sleep, paired = TRUE), Student 1908, divided by 10.
FIRST = (0.07, -0.16, -0.02, -0.12, -0.01, 0.34, 0.37, 0.08, 0.0, 0.2)
SECOND = (0.19, 0.08, 0.11, 0.01, -0.01, 0.44, 0.55, 0.16, 0.46, 0.34)


def test_the_interval_is_r_s() -> None:
    pairs = [(a + 0.2, b + 0.2) for a, b in zip(FIRST, SECOND, strict=True)]
    found = paired_difference(pairs)
    assert found is not None
    assert found.estimate == pytest.approx(0.158)
    assert (found.lower, found.upper) == pytest.approx((0.07001142, 0.24598858))
    # 9 of the 10 differences are positive, one is 0: 2 of 1,024 sign patterns reach
    # the mean, each twice for the sign of the zero.
    assert found.p == pytest.approx(4 / 1024)
    assert found.pairs == 10


def test_coverage_over_lumpy_pairs() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        first, second = rng.binomial(2, 0.3, 40) / 2, rng.binomial(2, 0.5, 40) / 2
        found = paired_difference(list(zip(first, second, strict=True)))
        assert found is not None
        covered += found.lower <= 0.2 <= found.upper
    assert covered / 300 > 0.91


@pytest.mark.parametrize(("gap", "estimate"), [(0.0, 0.0), (0.5, 0.5)])
def test_equal_differences_still_have_an_interval(gap: float, estimate: float) -> None:
    found = paired_difference([(0.25, 0.25 + gap)] * 64)
    assert found is not None
    assert found.estimate == estimate
    assert found.upper - found.estimate == pytest.approx(0.056, abs=0.001)


def test_one_pair_says_nothing_and_rates_are_checked() -> None:
    assert paired_difference([(0.0, 1.0)]) is None
    with pytest.raises(LDAError, match="in \\[0, 1\\]"):
        paired_difference([(0.0, 1.5), (0.0, 1.0)])
