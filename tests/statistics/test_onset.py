"""Onset: exact tests with many looks paid for."""

import numpy as np
import pytest

from inspect_lda.errors import LDAError
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.onset import holm, looks, onset


def test_holm_is_r_s() -> None:
    # R: p.adjust(c(.03, .01, .04, .02), "holm")
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_one_look_is_fisher_s_tea() -> None:
    [look] = looks([Cluster(3, 4)], Cluster(1, 4))
    assert look.p == pytest.approx(0.2428571)
    assert look.adjusted == look.p


def test_the_first_of_several_checkpoints_is_named() -> None:
    series = [Cluster(1, 100), Cluster(2, 100), Cluster(14, 100), Cluster(40, 100)]
    assert onset(series, Cluster(0, 200)) == 2
    assert onset(series[:2], Cluster(0, 200)) is None


def test_false_onsets_are_as_rare_as_promised() -> None:
    rng = np.random.default_rng(4)
    false = 0
    for _ in range(300):
        series = [Cluster(int(k), 200) for k in rng.binomial(200, 0.1, 6)]
        false += onset(series, Cluster(int(rng.binomial(400, 0.1)), 400)) is not None
    assert false / 300 <= 0.06


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(LDAError, match="k=5"):
        looks([Cluster(5, 4)], Cluster(0, 4))
