"""Rollouts to rows."""

import pytest

from inspect_lda.arms import SWEEP
from inspect_lda.statistics.coherence import Reading
from inspect_lda.statistics.sweep import Observation, rows

FINE = Reading(surprise=1.0, implausible=0.0, repetition=0.0, n_tokens=20)
BROKEN = Reading(surprise=9.0, implausible=0.6, repetition=0.0, n_tokens=20)


def seen(
    alpha: float, k: int, n: int, arm: str = SWEEP, reading: Reading | None = FINE
) -> list[Observation]:
    return [Observation(arm, alpha, f"p{i}", i < k, reading) for i in range(n)]


def test_the_sweep_comes_first_and_by_alpha() -> None:
    found = rows(
        seen(1, 3, 10) + seen(-1, 0, 10, "before") + seen(0, 0, 10) + seen(0.5, 1, 10)
    )
    assert [(row.arm, row.alpha) for row in found] == [
        (SWEEP, 0),
        (SWEEP, 0.5),
        (SWEEP, 1),
        ("before", -1),
    ]


def test_numbers_of_a_row() -> None:
    base, row = rows(seen(0, 0, 1000) + seen(1, 33, 1000))
    assert (row.k, row.n, row.rate) == (33, 1000, 0.033)
    assert row.exact == pytest.approx((0.0228, 0.0460), abs=1e-4)
    assert (row.prompts, row.prompts_hit) == (1000, 33)
    assert row.factor is not None
    assert row.factor.lower == pytest.approx(8.62, abs=0.01)
    assert row.needed == 90
    assert (base.factor, base.needed) == (None, None)


def test_coherence_is_relative_to_alpha_zero() -> None:
    cells = seen(0, 0, 100) + seen(8, 5, 5) + seen(8, 5, 5, reading=BROKEN)
    row = rows(cells)[-1]
    assert (row.k, row.coherent, row.coherent_k) == (10, 5, 5)
    assert (row.coherent_rate, row.coherent_share) == (0.5, 0.5)


def test_without_a_reading_coherence_is_unknown_not_zero() -> None:
    row = rows(seen(0, 0, 5) + seen(1, 1, 5, reading=None))[-1]
    assert (row.coherent, row.coherent_rate) == (None, None)


def test_no_alpha_zero_no_factor() -> None:
    assert rows(seen(1, 1, 5))[0].factor is None
    assert rows(seen(0, 0, 5) + seen(1, 1, 5, "control"))[-1].factor is None


def test_no_observations_no_rows() -> None:
    assert rows([]) == []
