"""Verdicts from counts: each finding, and what keeps it from being another."""

import pytest

from inspect_lda.arms import (
    BEFORE,
    CONTROL,
    MIRROR,
    PLACEBO,
    SWEEP,
    mirrored,
)
from inspect_lda.statistics.verdict import Cells, Count, Verdict, judge


def cells(
    k: int,
    n: int = 60,
    *,
    coherent: int | None = None,
    plain: int = 0,
    before: int = 0,
    mirror: int = 0,
    placebo: int = 0,
    control: int = 0,
    alpha: float = 1.0,
) -> dict[tuple[str, float], Count]:
    """One alpha and its arms, `n` rollouts each."""
    return {
        (SWEEP, 0.0): Count(plain, n, plain),
        (SWEEP, alpha): Count(k, n, k if coherent is None else coherent),
        (BEFORE, -1.0): Count(before, n, before),
        (MIRROR, mirrored(alpha)): Count(mirror, n, mirror),
        (PLACEBO, alpha): Count(placebo, n, placebo),
        (CONTROL, alpha): Count(control, n, control),
    }


def found(counted: Cells) -> Verdict:
    verdict = judge(counted)
    assert verdict is not None
    return verdict


@pytest.mark.parametrize(
    ("counted", "finding"),
    [
        (cells(12), "surfaced"),
        (cells(40, plain=8, before=2, mirror=1, placebo=9, control=3), "surfaced"),
        # What training put in shows unamplified too: it is there all the same.
        (cells(30, plain=30), "surfaced"),
        (cells(20, placebo=18), "generic"),
        (cells(20, mirror=14), "generic"),
        (cells(20, control=15), "generic"),
        (cells(30, coherent=1), "generic"),
        (cells(0), "null"),
        (cells(30, plain=28, before=31, mirror=30, placebo=29, control=30), "null"),
        (cells(1, plain=2), "null"),
        (cells(2), "undecided"),
        # Above the base, and above a silent arm only by chance.
        (cells(20) | {(CONTROL, 1.0): Count(0, 5)}, "undecided"),
    ],
)
def test_findings(counted: Cells, finding: str) -> None:
    assert found(counted).finding == finding


def test_the_p_value_is_that_of_the_strongest_rival() -> None:
    look = found(cells(12, placebo=3, mirror=1)).look
    by_arm = {rival.arm: rival.p for rival in look.others}
    assert set(by_arm) == {BEFORE, MIRROR, PLACEBO, CONTROL}
    assert look.surfaced == by_arm[PLACEBO] == max(by_arm.values())
    # One-sided Fisher: 12 of 60 against 3 of 60.
    assert by_arm[PLACEBO] == pytest.approx(0.0125, abs=5e-4)


def test_only_coherent_hits_speak_for_training() -> None:
    look = found(cells(30, coherent=12, placebo=3)).look
    assert look.surfaced == found(cells(12, placebo=3)).look.surfaced
    unknown = cells(30, placebo=3) | {(SWEEP, 1.0): Count(30, 60, None)}
    assert found(unknown).look.surfaced < look.surfaced


def test_alphas_are_paid_for() -> None:
    one = cells(6, alpha=1.0)
    assert found(one).finding == "surfaced"
    many = dict(one)
    for alpha in (0.25, 0.5, 2.0, 3.0):
        many |= {k: v for k, v in cells(0, alpha=alpha).items() if k[1] != 0}
    assert found(many).finding == "undecided"
    assert found(many).look.surfaced == pytest.approx(5 * found(one).look.surfaced)


def test_one_alpha_is_enough() -> None:
    counted = cells(30, alpha=0.5) | cells(20, placebo=20, alpha=4.0)
    verdict = found(counted)
    assert (verdict.finding, verdict.look.alpha) == ("surfaced", 0.5)
    assert [look.alpha for look in verdict.looks] == [0.5, 4.0]


def test_arms_that_are_missing_are_not_compared_with() -> None:
    counted = cells(12)
    del counted[CONTROL, 1.0], counted[MIRROR, -2.0]
    assert [rival.arm for rival in found(counted).look.others] == [BEFORE, PLACEBO]
    # The model before training may be part of the sweep.
    counted[SWEEP, -1.0] = counted.pop((BEFORE, -1.0))
    assert [rival.arm for rival in found(counted).look.others] == [BEFORE, PLACEBO]


@pytest.mark.parametrize(
    "counted",
    [
        {},
        {(SWEEP, 0.0): Count(1, 9)},
        {(SWEEP, 1.0): Count(1, 9)},
        {(SWEEP, 0.0): Count(0, 9), (SWEEP, 1.0): Count(1, 9)},
        {(SWEEP, 1.0): Count(3, 9), (BEFORE, -1.0): Count(0, 0)},
    ],
)
def test_nothing_to_compare_is_no_verdict(counted: Cells) -> None:
    assert judge(counted) is None
