"""Pooled curves and where they cross a limit."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from inspect_lda.calibration.curves import (
    GRID,
    alpha_of_kl,
    alpha_of_surprise,
    at,
    clustered_mean,
    pool,
)
from inspect_lda.calibration.records import Point
from inspect_lda.decoding.curves import curves
from inspect_lda.engines.base import TokenCurves


def logits() -> tuple[torch.Tensor, torch.Tensor]:
    """Twenty contexts over 300 ids: a peaked model and its quiet change."""
    made = torch.Generator().manual_seed(4)
    after = 3 * torch.randn(20, 300, generator=made)
    return after, after + 0.3 * torch.randn(20, 300, generator=made)


def measured(alphas: tuple[float, ...]) -> tuple[Point, ...]:
    found = curves(*logits(), alphas)
    parts = TokenCurves(*(tuple(map(tuple, part.tolist())) for part in found))
    return pool(alphas, ["one", "two"], [parts, parts])


def test_a_crossing_between_points_is_where_the_exact_curve_crosses() -> None:
    points = measured((0.0, *GRID))
    for budget in (1e-3, 0.05, 0.5, 2.0):
        alpha = alpha_of_kl(points, budget)
        assert alpha is not None
        [exact] = measured((alpha,))
        assert exact.kl == pytest.approx(budget, rel=0.01)
    alpha = alpha_of_surprise(points, 0.2)
    assert alpha is not None
    base, exact = measured((0.0, alpha))
    assert exact.surprise - base.surprise == pytest.approx(0.2, abs=0.01)
    assert at(points, alpha, "surprise") == pytest.approx(exact.surprise, abs=0.01)


def test_half_the_smallest_alpha_follows_the_quadratic_law() -> None:
    points = measured((0.0, *GRID))
    [exact] = measured((GRID[0] / 2,))
    assert alpha_of_kl(points[:1] + points[1:], points[1].kl / 4) == pytest.approx(
        GRID[0] / 2, rel=0.02
    )
    assert exact.kl == pytest.approx(points[1].kl / 4, rel=0.05)


def test_a_limit_that_no_alpha_reaches() -> None:
    points = measured((0.0, *GRID))
    assert alpha_of_kl(points, 1e6) is None
    assert alpha_of_surprise(points, 1e6) is None


def test_surprise_that_falls_before_it_rises_is_caught_where_it_rises() -> None:
    values = {0.0: 2.0, 0.5: 1.8, 1.0: 1.6, 2.0: 1.9, 4.0: 2.6, 8.0: 1.0}
    [point] = measured((0.0,))
    points = [
        point.model_copy(update={"alpha": alpha, "surprise": value})
        for alpha, value in values.items()
    ]
    alpha = alpha_of_surprise(points, 0.2)
    assert alpha is not None
    assert 2.0 < alpha < 4.0


def test_errors_are_clustered() -> None:
    draw = np.random.default_rng(0)
    clusters = [str(i // 10) for i in range(400)]
    counts = draw.integers(5, 30, 400).astype(float)
    shared = np.repeat(draw.normal(size=40), 10)
    mean, error = clustered_mean(clusters, shared * counts, counts)
    assert mean == pytest.approx(np.average(shared, weights=counts))
    # 40 clusters of unit variance, not 400 rollouts and not 7,000 tokens.
    assert error == pytest.approx(1 / math.sqrt(40), rel=0.25)
    alone = clustered_mean([str(i) for i in range(400)], shared * counts, counts)[1]
    assert alone < 0.5 * error


def test_means_are_over_tokens_not_over_rollouts() -> None:
    short = TokenCurves(kl=((4.0,),), surprise=((1.0,),), implausible=((1.0,),))
    long = replace(
        short, kl=((1.0,) * 3,), surprise=((2.0,) * 3,), implausible=((0.0,) * 3,)
    )
    [point] = pool((1.0,), ["a", "b"], [short, long])
    assert (point.kl, point.surprise, point.implausible) == (1.75, 1.75, 0.25)
