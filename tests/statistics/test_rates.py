"""Budgets, the rule of three and the clustered interval."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspect_lda.errors import LDAError
from inspect_lda.statistics.clusters import Cluster, clustered
from inspect_lda.statistics.intervals import clopper_pearson
from inspect_lda.statistics.rates import rollouts_needed, rule_of_three


@pytest.mark.parametrize(
    ("rate", "n"), [(1 / 30, 89), (1 / 50, 149), (1 / 5000, 14_978), (1e-4, 29_956)]
)
def test_rollouts_for_a_hit(rate: float, n: int) -> None:
    assert rollouts_needed(rate) == n


def test_rollouts_at_the_ends() -> None:
    assert rollouts_needed(0) == math.inf
    assert rollouts_needed(1) == 1
    assert rollouts_needed(1e-18) == pytest.approx(3e18, rel=2e-3)
    for rate, chance in ((-0.1, 0.95), (1.1, 0.95), (math.nan, 0.95), (0.5, 1.0)):
        with pytest.raises(LDAError, match="need"):
            rollouts_needed(rate, chance)


@given(st.floats(1e-6, 1.0), st.floats(0.01, 0.99))
def test_is_the_least_number(rate: float, chance: float) -> None:
    n = int(rollouts_needed(rate, chance))
    assert 1 - (1 - rate) ** n >= chance - 1e-9
    assert n == 1 or 1 - (1 - rate) ** (n - 1) < chance + 1e-9


@given(st.integers(1, 100_000))
def test_rule_of_three_is_below_three_over_n(n: int) -> None:
    bound = rule_of_three(n)
    assert bound < 3 / n
    assert bound == pytest.approx(clopper_pearson(0, n, side="upper").upper)


def test_no_rollouts_bound_nothing() -> None:
    assert rule_of_three(0) == 1.0


def test_one_rollout_a_prompt_is_the_plain_interval() -> None:
    # Each cluster of one: design effect n/(n-1), all but the plain interval.
    prompts = [Cluster(int(i < 30), 1) for i in range(1000)]
    assert clustered(prompts) == pytest.approx(clopper_pearson(30, 1000), abs=1e-4)


def test_korn_graubard_by_hand() -> None:
    # 4 clusters of 10 with 0, 1, 3, 4 hits, rate .2: squares 4 + 1 + 1 + 4 = 10,
    # variance 10 * 4/3 / 40**2 = 1/120, p(1-p)/variance = 19.2, t(39)/t(3) squared
    # = .403959, so n* = 7.7560; bounds by scipy.stats.beta.ppf(.025, 1.5512, 7.2048)
    # and (.975, 2.5512, 6.2048).
    found = clustered([Cluster(k, 10) for k in (0, 1, 3, 4)])
    assert tuple(found) == pytest.approx((0.0158660, 0.6108717), abs=1e-6)


def test_eight_prompts_say_less_than_four_hundred_rollouts() -> None:
    uneven = [Cluster(k, 50) for k in (25, 0, 0, 0, 0, 0, 0, 0)]
    plain = clopper_pearson(25, 400)
    assert clustered(uneven).upper > 2 * plain.upper


def test_zero_hits_count_prompts() -> None:
    silent = [Cluster(0, 125)] * 8
    assert clustered(silent) == clopper_pearson(0, 8)
    assert clustered([*silent, Cluster(0, 0)]) == clopper_pearson(0, 8)
    assert clustered([Cluster(5, 5)] * 8) == clopper_pearson(8, 8)


def test_one_prompt_is_no_population() -> None:
    assert clustered([Cluster(3, 100)]) == clustered([]) == (0.0, 1.0)


@given(
    st.lists(
        st.integers(1, 50).flatmap(
            lambda n: st.builds(Cluster, st.integers(0, n), st.just(n))
        ),
        min_size=2,
        max_size=30,
    )
)
def test_never_narrower_than_the_pooled_interval(clusters: list[Cluster]) -> None:
    k, n = sum(c.k for c in clusters), sum(c.n for c in clusters)
    pooled, found = clopper_pearson(k, n), clustered(clusters)
    assert found.lower <= pooled.lower + 1e-9
    assert found.upper >= pooled.upper - 1e-9
