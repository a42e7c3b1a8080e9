"""The search for the largest honest alpha, on curves whose answer is known."""

from itertools import pairwise

import pytest

from inspect_lda.calibration.honest import Curve, grid, largest_honest
from inspect_lda.calibration.result import Limits, Point

LIMITS = Limits(max_tv=0.05, share=0.5)


def line(slope: float) -> Curve:
    return lambda alpha: min(1.0, slope * alpha)


def found(noise: Curve, signal: Curve, limits: Limits = LIMITS) -> float | None:
    points = [
        Point(alpha=alpha, noise_tv=noise(alpha), signal_tv=signal(alpha))
        for alpha in grid(4)
    ]
    return largest_honest(points, noise, signal, limits)


def test_the_grid_ends_where_alphas_do() -> None:
    alphas = grid(4)
    assert (alphas[0], alphas[-1], len(alphas)) == (0.01, 1000.0, 21)
    ratios = [b / a for a, b in pairwise(alphas)]
    assert max(ratios) == pytest.approx(min(ratios))


@pytest.mark.parametrize("alpha", [0.02, 0.7, 3.0, 41.0, 900.0])
def test_the_bound_on_noise_is_found_between_grid_points(alpha: float) -> None:
    assert found(line(0.05 / alpha), line(0.5 / alpha)) == pytest.approx(
        alpha, rel=0.02
    )


def test_no_alpha_is_honest_where_noise_is_too_large_from_the_start() -> None:
    assert found(line(0.01), line(0.015)) is None
    assert found(line(0.01), lambda _: 0.0) is None
    assert found(line(10.0), line(10.0)) is None


def test_every_alpha_is_honest_without_noise() -> None:
    assert found(line(1e-6), line(1e-3)) == 1000.0


def test_the_smallest_alpha_that_breaks_the_share_counts() -> None:
    # The signal dips between 1 and 2, where noise is more than half of it.
    def dips(alpha: float) -> float:
        return 0.005 if 1 < alpha < 2 else 0.2

    assert found(line(0.005), dips) == pytest.approx(1.0, rel=0.02)
    assert found(line(0.005), line(0.2)) == pytest.approx(10.0, rel=0.02)
