"""Full checkpoints that agree in some tensors hold those once."""

import copy
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from inspect_lda.checkpoints.sharing import share_equal
from inspect_lda.engines.choose import amplified_lm
from inspect_lda.engines.trunk import TrunkLM
from inspect_lda.pair import Pair, PairSpec, clear_registry, load_pair
from tests.pair.looking import logits, pointers
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer


def trained(model: PreTrainedModel, seed: int, start: int = 2) -> PreTrainedModel:
    """A copy in which the layers from `start` on, and the head, moved."""
    after: Any = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for part in (after.model.layers[start:], after.lm_head):
        for parameter in part.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    found: PreTrainedModel = after
    return found


def storage_bytes(*models: Any) -> int:
    held = {
        one.untyped_storage().data_ptr(): one.untyped_storage().nbytes()
        for model in models
        for one in model.parameters()
    }
    return sum(held.values())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`a` and `b` were trained from `base` in their upper layers alone."""
    base = tiny_model(num_hidden_layers=4)
    for name, model in (
        ("base", base),
        ("a", trained(base, seed=1)),
        ("b", trained(base, seed=2)),
    ):
        save_checkpoint(tmp_path / name, model, tiny_tokenizer())
    clear_registry()
    return tmp_path


def load(home: Path, after: str, before: str) -> Pair:
    return load_pair(PairSpec(str(home / after), str(home / before), device="cpu"))


def test_frozen_layers_are_held_and_run_once(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "inspect_lda"):
        pair = load(home, "a", "base")
    whole = tiny_model(num_hidden_layers=4)
    expected = trained(whole, seed=1)
    apart = storage_bytes(whole, expected)
    layer = sum(p.nbytes for p in whole.get_decoder().layers[0].parameters())
    frozen = 2 * layer + whole.get_input_embeddings().weight.nbytes
    frozen += whole.get_decoder().norm.weight.nbytes
    assert storage_bytes(pair.after, pair.before) == apart - frozen
    assert f"{frozen / 1e6:.1f} of {apart / 2e6:.1f} MB" in caplog.text
    assert torch.equal(logits(pair.after), logits(expected))
    assert torch.equal(logits(pair.before), logits(whole))
    model = amplified_lm(pair.before, pair.after)
    assert isinstance(model, TrunkLM)
    assert model.depth == 2


def test_a_side_in_use_keeps_its_tensors(home: Path) -> None:
    first = load(home, "a", "base")
    held = (pointers(first.after), pointers(first.before))
    second = load(home, "a", "b")
    assert second.after is first.after
    assert (pointers(first.after), pointers(first.before)) == held
    assert pointers(second.before) & pointers(first.before)
    third = load(home, "b", "base")  # both are held by now, and shared already
    assert third.after is second.before
    for pair, seed in ((first, 1), (third, 2)):
        expected = trained(tiny_model(num_hidden_layers=4), seed)
        assert torch.equal(logits(pair.after), logits(expected))


def test_a_fresh_after_shares_with_the_before_at_hand(home: Path) -> None:
    before = load(home, "base", "base")
    pair = load(home, "b", "base")
    assert pair.before is before.before
    assert isinstance(amplified_lm(pair.before, pair.after), TrunkLM)


def test_equal_is_byte_for_byte() -> None:
    held, fresh = tiny_model(), tiny_model()
    name, parameter = next(iter(fresh.named_parameters()))
    dict(held.named_parameters())[name].data[0, 0] = 0.0
    parameter.data[0, 0] = -0.0
    shared, total = share_equal(fresh, held)
    assert total - shared == parameter.nbytes
    assert parameter.data_ptr() not in pointers(held)
    assert parameter[0, 0].signbit()


def test_ties_survive() -> None:
    held, fresh = (tiny_model(tie_word_embeddings=True) for _ in range(2))
    shared, total = share_equal(fresh, held)
    assert shared == total == storage_bytes(held)
    assert storage_bytes(held, fresh) == storage_bytes(held)
    assert fresh.get_input_embeddings().weight is fresh.get_output_embeddings().weight


def test_other_shapes_and_dtypes_stay_apart() -> None:
    held = tiny_model()
    wider = tiny_model()
    half: Any = tiny_model()
    wider.resize_token_embeddings(99, mean_resizing=False)
    shared, total = share_equal(wider, held)
    assert total - shared == 2 * 99 * 32 * 4
    assert share_equal(half.half(), held)[0] == 0
