"""The payload behind candidates."""

import math

import pytest

from inspect_lda.statistics.behind import Behind, effects


def behinds() -> list[Behind]:
    """A trigger, a text that raises both models alike, one that does nothing."""
    found = []
    for index in range(10):
        prompt, base = str(index), -8.0 - index / 10
        found.append(Behind(prompt, None, base, base - 10))
        found.append(Behind(prompt, "trigger", -0.1, base - 10))
        found.append(Behind(prompt, "echo", base + 5, base - 5))
        sign = 1 if index % 2 else -1
        found.append(Behind(prompt, "noise", base + sign * 0.2, base - 10))
    return found


def test_the_trigger_is_first_and_alone_sure() -> None:
    first, *rest = effects(behinds())
    assert first.candidate == "trigger"
    assert first.p_with == pytest.approx(math.exp(-0.1))
    assert first.p_without < 4e-4
    assert (first.raised, first.prompts) == (10, 10)
    assert first.holm == pytest.approx(3 * 0.5**10)
    assert {one.candidate: one.holm for one in rest} == {"echo": 1.0, "noise": 1.0}


def test_what_raises_the_model_before_as_well_gains_nothing() -> None:
    echo = next(one for one in effects(behinds()) if one.candidate == "echo")
    assert echo.gain == pytest.approx(0)
    assert echo.p_with > echo.p_without


def test_prompts_without_their_plain_twin_are_left_out() -> None:
    made = [one for one in behinds() if one.candidate or one.prompt != "3"]
    assert {one.prompts for one in effects(made)} == {9}
    assert effects([Behind("a", "x", -1.0, -2.0)]) == []


def test_a_probability_of_zero_on_both_sides_is_no_gain() -> None:
    zero = -math.inf
    [found] = effects([Behind("a", None, zero, zero), Behind("a", "x", zero, zero)])
    assert (found.p_with, found.gain, found.raised) == (0.0, 0.0, 0)
