"""Student's interval of a mean, against its definition and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from inspect_lda.statistics.means import mean_interval


def test_the_interval_is_student_s() -> None:
    values = [0.1, 0.4, 0.35, 0.8, 0.05]
    expected = stats.t.interval(0.9, 4, loc=np.mean(values), scale=stats.sem(values))
    assert mean_interval(values, 0.9) == pytest.approx(expected)


def test_it_covers() -> None:
    rng = np.random.default_rng(0)
    found = [mean_interval(rng.normal(2, 3, 6).tolist()) for _ in range(2000)]
    assert 0.935 < np.mean([low <= 2 <= high for low, high in found]) < 0.965


def test_one_value_says_nothing_about_others() -> None:
    assert mean_interval([3.0]) == (-math.inf, math.inf)
    assert mean_interval([3.0, 3.0]) == (3.0, 3.0)
