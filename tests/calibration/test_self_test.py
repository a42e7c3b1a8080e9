"""The self-test of tiny real pairs: what holds, what is noise, what breaks."""

from pathlib import Path
from typing import Any

import pytest
import torch

from inspect_lda.calibration.readings import Single, alone, in_batch
from inspect_lda.calibration.reference import float32_logits, obstacle
from inspect_lda.calibration.result import Limits, SelfTest
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.doubled import DoubledLM
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.engines.trunk import TrunkLM
from tests.calibration.conftest import Shelf
from tests.calibration.pairs import ROWS, load, save_base, self_test_of
from tests.engines.stepping import Counting
from tests.engines.test_lockstep import hybrid_pair

PROMPTS = [(5, 9, 33, 12), (7, 8, 9, 10, 11, 12, 13), (40, 41)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_two_checkpoints(shelf: Shelf, dtype: str) -> None:
    found = self_test_of(PairDecoder(load(shelf.other, shelf.base, dtype=dtype), ROWS))
    assert found.form == "AmplifiedLM"
    assert found.passed
    assert [one.error for one in found.identities] == [0.0] * 4
    assert (found.rows, found.prompts, found.tokens) == (ROWS, 6, 18)
    assert found.signal_kl.lower < found.signal_kl.value < found.signal_kl.upper
    assert found.honest_alpha is not None
    assert SelfTest.model_validate_json(found.model_dump_json()) == found


def test_noise_is_that_of_the_dtype(shelf: Shelf) -> None:
    found = {
        dtype: self_test_of(
            PairDecoder(load(shelf.other, shelf.base, dtype=dtype), ROWS)
        )
        for dtype in ("float32", "float16", "bfloat16")
    }
    stds = [one.noise_std for one in found.values()]
    assert 0 < 100 * stds[0] < stds[1] < stds[2] / 3
    honest = [one.honest_alpha or 0 for one in found.values()]
    assert honest[0] == 1000 > honest[1] > honest[2]


def test_the_trunk_and_the_doubled_form(shelf: Shelf) -> None:
    pair = load(shelf.adapter)
    decoder = PairDecoder(pair, ROWS)
    decoder.model = DoubledLM(pair.before, pair.after)  # type: ignore[arg-type]
    found = self_test_of(decoder)
    assert found.form == "DoubledLM"
    assert found.passed
    assert all(one.tolerance > 0 for one in found.identities[:2])
    decoder.model = TrunkLM(pair.before, pair.after, depth=0)
    assert {one.error for one in self_test_of(decoder).identities} == {0.0}


def test_a_pair_with_itself_has_no_honest_alpha(shelf: Shelf) -> None:
    pair = load(shelf.base, shelf.base, dtype="bfloat16")
    found = self_test_of(PairDecoder(pair, ROWS))
    assert found.passed
    assert found.is_flat
    assert (found.signal_kl.value, found.signal_std) == (0.0, 0.0)
    assert found.noise_kl > 0
    assert found.honest_alpha is None
    assert found.noise_tv(20) > 0.05
    assert not found.allows(20)
    assert not found.allows(-21)
    assert all(found.allows(alpha) for alpha in (0.0, -1.0, -0.5))


def test_in_float32_a_control_pair_may_be_amplified(shelf: Shelf) -> None:
    found = self_test_of(PairDecoder(load(shelf.base, shelf.base), ROWS))
    assert found.honest_alpha is None
    assert found.allows(5)


def test_a_form_that_is_not_the_pair_is_seen(shelf: Shelf, tmp_path: Path) -> None:
    stranger = save_base(tmp_path / "stranger", seed=9)
    pair = load(shelf.other, shelf.base)
    decoder = PairDecoder(pair, ROWS)
    # What runs draws its `before` from elsewhere.
    decoder.model = _Swapped(load(stranger, shelf.base).after, pair)
    found = self_test_of(decoder)
    assert not found.passed
    broken = [one.name for one in found.identities if not one.holds]
    assert broken == ["alpha -1 is `before` alone"]


class _Swapped(AmplifiedLM):
    """A form whose second half is another model than the `before` it holds."""

    def __init__(self, stranger: Any, pair: Any) -> None:
        super().__init__(pair.before, pair.after)
        self._stranger = stranger

    def halves(self, cache: Any, **inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        after, _ = super().halves(cache, **inputs)
        other: torch.Tensor = self._stranger(input_ids=inputs["input_ids"]).logits
        return after, other[:, -after.shape[1] :]


def test_stricter_limits_give_a_smaller_alpha(shelf: Shelf) -> None:
    decoder = PairDecoder(load(shelf.other, shelf.base, dtype="bfloat16"), ROWS)
    loose, strict = (
        self_test_of(decoder, limits=Limits(max_tv=tv)).honest_alpha
        for tv in (0.05, 0.02)
    )
    assert loose is not None
    assert strict is not None
    assert strict < loose


def test_a_reading_does_what_one_forward_a_row_does(shelf: Shelf) -> None:
    pair = load(shelf.other, shelf.base)
    model = AmplifiedLM(pair.before, pair.after)
    reading = in_batch(Single(model), PROMPTS, length=4)
    assert reading.replies.shape == (3, 4)
    apart = alone(model, PROMPTS, reading.replies)
    for found, expected in zip((reading.after, reading.before), apart, strict=True):
        assert torch.allclose(found, expected, atol=1e-4)
    again = in_batch(Single(model), PROMPTS, reading.replies, length=4, keep=2)
    assert torch.equal(again.after, reading.after[:2])


def test_the_reference_is_the_same_weights_in_float32(shelf: Shelf) -> None:
    half = load(shelf.other, shelf.base, dtype="bfloat16")
    model = AmplifiedLM(half.before, half.after)
    assert obstacle(model) is None
    assert "asked for" in (obstacle(model, limit=10) or "")
    reading = in_batch(Single(model), PROMPTS, length=2)
    after, before = float32_logits(model, PROMPTS, reading.replies)
    assert after.dtype == before.dtype == torch.float32
    assert 0 < float((after - reading.after).abs().max()) < 0.5
    wide = load(shelf.other, shelf.base)
    assert obstacle(AmplifiedLM(wide.before, wide.after)) is not None
    found = self_test_of(PairDecoder(half, ROWS), reference=True)
    assert found.truth_std is not None
    # Noise of one checkpoint is about what rounding does to a difference of two.
    assert 0.3 < found.noise_std / found.truth_std < 3


@pytest.mark.parametrize("arch", ["qwen3_next", "falcon_h1", "jamba"])
def test_models_that_decode_in_lockstep(arch: str, tmp_path: Path) -> None:
    decoder = PairDecoder(hybrid_pair(arch, tmp_path), ROWS)
    assert not decoder.rolls
    found = self_test_of(decoder)
    assert found.passed, found.identities
    assert found.honest_alpha == 1000


def test_compiled_steps_hold_to_rounding(shelf: Shelf) -> None:
    pair = load(shelf.other, shelf.base, compile=True)
    backend = Counting()
    decoder = PairDecoder(pair, ROWS, backend)
    for _ in range(2):
        found = self_test_of(decoder, length=10)
        assert found.passed
        assert found.identities[0].tolerance > 0
    assert backend.graphs
