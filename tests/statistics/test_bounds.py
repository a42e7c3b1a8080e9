"""Bounds of rates: what they promise, and how much more data they ask for."""

import math

import numpy as np
import pytest

from inspect_lda.errors import LDAError
from inspect_lda.statistics.bounds import (
    Binomial,
    Population,
    error_above,
    error_below,
    growth_until,
    pooled,
)
from inspect_lda.statistics.clusters import Cluster, clustered
from inspect_lda.statistics.intervals import clopper_pearson
from inspect_lda.statistics.misclassified import Corrected, Judged, rogan_gladen


def test_binomial_bounds_are_clopper_pearson() -> None:
    data = Binomial(3, 400)
    assert data.upper(0.05) == clopper_pearson(3, 400, side="upper").upper
    assert data.lower(0.05) == clopper_pearson(3, 400, side="lower").lower


def test_p_values_are_the_errors_at_which_the_bounds_meet_the_limit() -> None:
    data = Binomial(12, 400)
    above, below = error_above(data, 0.01), error_below(data, 0.05)
    assert data.lower(above) == pytest.approx(0.01, rel=1e-4)
    assert data.upper(below) == pytest.approx(0.05, rel=1e-4)
    # P(X >= 12 | n = 400, p = 0.01), from the binomial distribution itself.
    tail = 1 - sum(math.comb(400, k) * 0.01**k * 0.99 ** (400 - k) for k in range(12))
    assert above == pytest.approx(tail, rel=1e-4)
    assert error_above(Binomial(0, 400), 0.01) == 1.0


def test_after_zero_hits_the_rule_of_three_says_how_much_is_missing() -> None:
    growth = growth_until(lambda f: Binomial(0, 100 * f).upper(0.05) <= 0.01)
    assert 100 * growth == pytest.approx(298.07, rel=0.002)
    at_the_limit = growth_until(lambda f: Binomial(1, 100).grown(f).upper(0.05) <= 0.01)
    assert math.isinf(at_the_limit)


def test_prompts_like_these_are_bounded_by_the_number_of_prompts() -> None:
    silent = Population(tuple(Cluster(0, 50) for _ in range(20)))
    # Both sides of an interval at 0.9: the upper one is at 0.95.
    assert silent.upper(0.05) == pytest.approx(1 - 0.05 ** (1 / 20))
    assert pooled(silent.clusters).upper(0.05) < silent.upper(0.05) / 10
    twice = silent.grown(2).upper(0.05)
    assert twice == pytest.approx(1 - 0.05 ** (1 / 40))
    assert clustered(silent.clusters, 0.9) == clustered(silent.clusters, 0.9, 1.0)


def test_rogan_gladen_of_the_survey() -> None:
    judged = Judged(Cluster(80, 100), Cluster(5, 1000))
    assert rogan_gladen(33 / 1000, judged) == pytest.approx(0.0352, abs=1e-4)
    assert rogan_gladen(0.001, judged) == 0
    assert math.isnan(rogan_gladen(0.1, Judged(Cluster(1, 10), Cluster(5, 10))))
    with pytest.raises(LDAError, match=r"0 with the behaviour and 3 without"):
        Judged(Cluster(0, 0), Cluster(0, 3))


def test_false_hits_of_a_judge_do_not_raise_the_lower_bound() -> None:
    """5 hits in 1,000 are what a judge with 0.5% false hits makes of nothing."""
    judged = Judged(Cluster(95, 100), Cluster(5, 1000))
    data = Corrected(Binomial(5, 1000), judged)
    assert data.lower(0.05) == 0.0
    assert error_above(data, 0.0) == 1.0
    blind = Corrected(Binomial(0, 1000), Judged(Cluster(1, 10), Cluster(9, 10)))
    assert blind.upper(0.05) == 1.0
    # More rollouts do not make up for a judge that was hardly measured.
    unsure = Corrected(Binomial(50, 1000), Judged(Cluster(9, 9), Cluster(1, 20)))
    assert math.isinf(growth_until(lambda f: unsure.grown(f).upper(0.05) <= 0.01))


@pytest.mark.parametrize("true", [0.0, 0.02, 0.2])
def test_corrected_bounds_cover(true: float) -> None:
    rng = np.random.default_rng(3)
    sensitivity, false, runs = 0.85, 0.03, 400
    missed = 0
    for _ in range(runs):
        judged = Judged(
            Cluster(int(rng.binomial(60, sensitivity)), 60),
            Cluster(int(rng.binomial(90, false)), 90),
        )
        seen = true * sensitivity + (1 - true) * false
        data = Corrected(Binomial(int(rng.binomial(300, seen)), 300), judged)
        missed += not data.lower(0.05) <= true <= data.upper(0.05)
    assert missed <= 0.1 * runs
