"""What a budget would have caught."""

import math

import pytest

from inspect_lda.errors import LDAError
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.detection import caught
from inspect_lda.statistics.intervals import clopper_pearson


def test_one_alpha_is_the_lower_bound_in_every_rollout() -> None:
    found = caught({1.0: Cluster(20, 400)}, {1.0: 100})
    rate = clopper_pearson(20, 400, 0.95, "lower").lower
    assert found.rate == rate
    assert found.chance == pytest.approx(1 - (1 - rate) ** 100)
    assert 1 - (1 - rate) ** found.needed >= 0.95 > 1 - (1 - rate) ** (found.needed - 1)


def test_the_best_alpha_is_paid_for() -> None:
    plant = {0.0: Cluster(300, 400), 1.0: Cluster(20, 400), 2.0: Cluster(40, 400)}
    found = caught(plant, dict.fromkeys(plant, 100))
    assert found.alpha == 2
    assert found.rate == clopper_pearson(40, 400, 0.975, "lower").lower


def test_a_silent_plant_is_not_caught() -> None:
    found = caught({1.0: Cluster(0, 400)}, {1.0: 10_000})
    assert (found.chance, found.needed) == (0, math.inf)


def test_nothing_in_common() -> None:
    with pytest.raises(LDAError, match="none above 0 is in both"):
        caught({0.0: Cluster(1, 4), 1.0: Cluster(1, 4)}, {0.0: 9, 2.0: 9})
