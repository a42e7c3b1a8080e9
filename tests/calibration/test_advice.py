"""What a check advises, and how a curve is read between its points."""

import pytest

from inspect_lda.calibration.advice import advice_on, ways_out
from inspect_lda.calibration.document import Deltas, Erased, Side
from inspect_lda.calibration.result import (
    Limits,
    Mean,
    Point,
    SelfTest,
    amplification,
    honest_text,
)

SIDE = Side(name="m", stored=("bfloat16",), quantization=None)
DELTAS = Deltas(
    source="files",
    tensors=4,
    changed_tensors=2,
    weights=4000,
    touched_weights=1000,
    changed_weights=1000,
    rounded_weights=0,
    grid="bfloat16",
    ulps=(1.0, 8.0, 30.0),
    equal_on_grid=0,
    one_step=10,
    erased=(),
)


def made(
    honest: float | None, precision: str = "bfloat16", kl: float = 0.1
) -> SelfTest:
    points = [(0.1, 0.001), (1.0, 0.01), (10.0, 0.09), (1000.0, 1.0)]
    return SelfTest(
        level="full",
        precision=precision,
        form="AmplifiedLM",
        rows=4,
        prompts=2,
        tokens=4,
        seconds=1.0,
        identities=(),
        noise_std=0.1,
        noise_kl=0.01,
        signal_std=1.0,
        signal_kl=Mean(value=kl, lower=kl / 2, upper=2 * kl),
        truth_std=None,
        limits=Limits(),
        curve=tuple(Point(alpha=a, noise_tv=n, signal_tv=0.5) for a, n in points),
        honest_alpha=honest,
    )


def test_the_curve_between_and_beyond_its_points() -> None:
    test = made(5.0)
    assert test.noise_tv(1.0) == pytest.approx(0.01)
    assert test.noise_tv(10**0.5) == pytest.approx((0.01 * 0.09) ** 0.5)
    assert test.noise_tv(0.05) == pytest.approx(0.0005)
    assert test.noise_tv(1000.0) == 1.0
    assert test.noise_tv(-2.0) == test.noise_tv(1.0)
    assert [test.noise_tv(alpha) for alpha in (0.0, -0.5, -1.0)] == [0.0] * 3


@pytest.mark.parametrize(
    ("alpha", "reach"), [(3.0, 3.0), (0.0, 0.0), (-1.0, 0.0), (-3.0, 2.0), (-0.5, -0.5)]
)
def test_amplification_is_that_of_the_pair_or_of_it_swapped(
    alpha: float, reach: float
) -> None:
    assert amplification(alpha) == reach


def test_what_is_allowed() -> None:
    test, none = made(5.0), made(None)
    assert [test.allows(a) for a in (5.0, 5.1, -6.0, -6.1)] == [True, False] * 2
    assert [none.allows(a) for a in (0.09, 0.2, 0.0, -1.0)] == [True, False, True, True]
    assert honest_text(None) == "none"
    assert honest_text(1000.0) == "at least 1000"


def test_ways_out_go_from_the_most_effective() -> None:
    assert ways_out("float32") == ()
    assert [way.split()[1].rstrip(",") for way in ways_out("bfloat16")] == [
        "dtype=float32",
        "dtype=float16",
        "head_dtype=float32",
    ]
    assert len(ways_out("bfloat16, head float32")) == 2
    assert len(ways_out("float16")) == 2


def test_advice() -> None:
    assert advice_on(made(50.0), DELTAS, SIDE, SIDE) == ()
    assert len(advice_on(made(2.0), DELTAS, SIDE, SIDE)) == 3
    same = DELTAS.model_copy(update={"changed_weights": 0})
    [flat] = advice_on(made(None, kl=0.0), same, SIDE, SIDE)
    assert "same model" in flat
    [noise] = advice_on(made(None, kl=0.005), DELTAS, SIDE, SIDE)
    assert "no more than rounding" in noise


def test_advice_on_weights() -> None:
    rounded = DELTAS.model_copy(
        update={
            "equal_on_grid": 800,
            "one_step": 150,
            "adapter_erased": 790,
            "adapter_weights": 990,
        }
    )
    [lost] = advice_on(made(50.0), rounded, SIDE, SIDE)
    for part in ("800 of 1,000 weights", "150 of the other 200", "790 were erased"):
        assert part in lost
    wide = Side(name="b", stored=("float32",), quantization=None)
    [mixed] = advice_on(made(50.0), DELTAS, SIDE, wide)
    assert "after is stored in bfloat16, before in float32" in mixed
    packed = Side(name="q", stored=("bfloat16",), quantization="bitsandbytes 4-bit")
    [quantised] = advice_on(made(50.0), DELTAS, packed, SIDE)
    assert "after is bitsandbytes 4-bit, before is not quantised" in quantised
    fine = DELTAS.model_copy(
        update={"erased": (Erased(dtype="bfloat16", weights=400),), "grid": "float32"}
    )
    [held] = advice_on(made(50.0), fine, wide, wide)
    assert "400 of 1,000 changed weights are equal" in held
    adapter = fine.model_copy(update={"source": "adapter"})
    [merged] = advice_on(made(50.0), adapter, SIDE, SIDE)
    assert "of 1,000 changed weights 400 in bfloat16 would be erased" in merged
