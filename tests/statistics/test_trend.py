"""Cochran-Armitage: a known table, its size, and what it refuses."""

import math

import numpy as np
import pytest

from inspect_lda.errors import LDAError
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.trend import Trend, trend


def test_it_is_the_correlation_of_hits_and_steps() -> None:
    # z squared is n times the squared correlation of outcome and step.
    cells, steps = [Cluster(2, 20), Cluster(5, 30), Cluster(9, 25)], [0.0, 1.0, 4.0]
    hits = np.concatenate([[1] * k + [0] * (n - k) for k, n in cells])
    places = np.repeat(steps, [n for _, n in cells])
    found = trend(cells, steps)
    r = float(np.corrcoef(hits, places)[0, 1])
    assert found.z == pytest.approx(math.sqrt(len(hits)) * r)
    assert found.p == pytest.approx(0.5 * math.erfc(found.z / math.sqrt(2)))


def test_a_falling_rate_is_no_rise() -> None:
    assert trend([Cluster(9, 10), Cluster(1, 10)], [0, 1]).p > 0.99
    assert trend([Cluster(0, 10), Cluster(0, 10)], [0, 1]) == Trend(0.0, 0.5)


def test_it_is_as_rarely_wrong_as_promised() -> None:
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(2000):
        cells = [Cluster(int(k), 80) for k in rng.binomial(80, 0.15, 6)]
        wrong += trend(cells, [0, 5, 10, 20, 40, 100]).p <= 0.05
    assert wrong / 2000 == pytest.approx(0.05, abs=0.017)


def test_refusals() -> None:
    with pytest.raises(LDAError, match="a step for each"):
        trend([Cluster(1, 2)], [1.0, 2.0])
    with pytest.raises(LDAError, match="two that differ"):
        trend([Cluster(1, 2), Cluster(1, 2)], [1.0, 1.0])
