"""Unequal prompts, against simulation and hand-computed values."""

import numpy as np
import pytest

from inspect_lda.errors import LDAError
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.dispersion import intraclass, overdispersion


def drawn(rng: np.random.Generator, icc: float, m: int = 60) -> list[Cluster]:
    """Some prompts x 20 rollouts at a mean rate of 0.2."""
    if icc == 0:
        rates = np.full(m, 0.2)
    else:
        size = (1 - icc) / icc
        rates = rng.beta(0.2 * size, 0.8 * size, m)
    return [Cluster(int(k), 20) for k in rng.binomial(20, rates)]


@pytest.mark.parametrize("icc", [0.0, 0.05, 0.3])
def test_the_correlation_is_recovered(icc: float) -> None:
    rng = np.random.default_rng(1)
    found = [intraclass(drawn(rng, icc)) for _ in range(200)]
    assert np.mean([value for value in found if value is not None]) == pytest.approx(
        icc, abs=0.015
    )


def test_p_values_are_uniform_without_overdispersion_and_small_with_it() -> None:
    rng = np.random.default_rng(2)
    flat = [overdispersion(drawn(rng, 0.0)) for _ in range(600)]
    assert 0.02 < np.mean([p is not None and p < 0.05 for p in flat]) < 0.09
    lumpy = [overdispersion(drawn(rng, 0.1)) for _ in range(50)]
    assert np.mean([p is not None and p < 0.01 for p in lumpy]) > 0.9


def test_a_small_table_by_hand() -> None:
    # Rates 0 and 1/2: mean squares 1/4 between and 1/4 within.
    table = [Cluster(0, 2), Cluster(1, 2)]
    assert intraclass(table) == 0
    assert intraclass([Cluster(0, 2), Cluster(2, 2)]) == 1
    # Excess (0.25 + 0.25) / (3/16) - 4 = -4/3 over sqrt(2 * 4).
    assert overdispersion(table) == pytest.approx(0.6813, abs=1e-4)


@pytest.mark.parametrize(
    "table",
    [
        [],
        [Cluster(1, 5)],
        [Cluster(0, 5)] * 3,
        [Cluster(5, 5)] * 3,
        [Cluster(1, 1)] * 3,
        [Cluster(0, 0), Cluster(1, 4)],
    ],
)
def test_what_is_undefined_is_none(table: list[Cluster]) -> None:
    assert intraclass(table) is None
    assert overdispersion(table) is None


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(LDAError, match="k=3"):
        intraclass([Cluster(3, 2), Cluster(1, 2)])
