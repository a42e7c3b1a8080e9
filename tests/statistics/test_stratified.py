"""The exact conditional test against scipy, enumeration and its own level."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from inspect_lda.errors import LDAError
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.stratified import exact_conditional


def test_one_stratum_is_fishers_test() -> None:
    found = exact_conditional({"a": Cluster(9, 30)}, {"a": Cluster(2, 25)})
    table = [[9, 21], [2, 23]]
    fisher = stats.fisher_exact(table, alternative="greater").pvalue
    assert found.p == pytest.approx(fisher, rel=1e-9)
    assert found.expected == pytest.approx(6.0)
    assert found.strata == 1


def test_several_strata_against_enumeration() -> None:
    first = {"a": Cluster(2, 3), "b": Cluster(1, 4), "c": Cluster(0, 2)}
    second = {"a": Cluster(0, 3), "b": Cluster(1, 2), "c": Cluster(2, 5)}
    p = 0.0
    supports = []
    for key, one in first.items():
        k, n = one.k + second[key].k, one.n + second[key].n
        ways = {
            x: math.comb(one.n, x) * math.comb(n - one.n, k - x) / math.comb(n, k)
            for x in range(k + 1)
        }
        supports.append(ways)
    for xs in itertools.product(*supports):
        if sum(xs) >= 3:
            p += math.prod(ways[x] for ways, x in zip(supports, xs, strict=True))
    assert exact_conditional(first, second).p == pytest.approx(p, rel=1e-12)


def test_a_prompt_that_always_hits_says_nothing() -> None:
    first = {"loud": Cluster(20, 20), "quiet": Cluster(0, 20)}
    assert exact_conditional(first, first) == (1.0, 0.0, 0)


def test_unequal_prompts_do_not_fake_a_difference() -> None:
    """Pooled, the first arm has 50% and the second 10%: only the mix differs."""
    first = {"loud": Cluster(18, 20), "quiet": Cluster(2, 20)}
    second = {"loud": Cluster(9, 10), "quiet": Cluster(9, 90)}
    pooled = stats.fisher_exact([[20, 20], [18, 82]], alternative="greater").pvalue
    assert pooled < 1e-3
    assert exact_conditional(first, second).p > 0.4


def test_its_level_holds() -> None:
    rng = np.random.default_rng(5)
    rates = rng.beta(0.3, 3, 12)
    rejected, runs = 0, 500
    for _ in range(runs):
        arms = [
            {str(i): Cluster(int(rng.binomial(6, r)), 6) for i, r in enumerate(rates)}
            for _ in range(2)
        ]
        rejected += exact_conditional(*arms).p <= 0.05
    assert rejected <= 0.075 * runs


def test_other_prompts_are_refused() -> None:
    one = Cluster(1, 2)
    with pytest.raises(LDAError, match="1 prompts are in one arm alone"):
        exact_conditional({"a": one}, {"a": one, "b": one})
