"""Adapters that cannot be put on: each error names the argument and the way out."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from inspect_lda.pair import PairSpec, load_pair
from tests.pair.conftest import Shelf, save_adapter
from tests.pair.refusing import damaged_copy, edit_json, refusal
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer


def test_adapter_scale_without_adapter(shelf: Shelf) -> None:
    spec = PairSpec(str(shelf.after), str(shelf.before), adapter_scale=0.5)
    assert "adapter_scale: got 0.5, but" in refusal(spec)


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.9])
def test_damaged_adapter_names_the_file(
    shelf: Shelf, tmp_path: Path, keep: float
) -> None:
    file = damaged_copy(shelf.adapter, tmp_path / "adapter", keep)
    text = refusal(PairSpec(str(file.parent)))
    assert text.startswith(f"after: corrupt adapter file {file}")


def test_adapter_without_weights(shelf: Shelf, tmp_path: Path) -> None:
    copy = shutil.copytree(shelf.adapter, tmp_path / "adapter")
    (copy / "adapter_model.safetensors").unlink()
    text = refusal(PairSpec(str(copy)))
    assert "has no adapter_model.safetensors" in text


@pytest.mark.parametrize("content", ["{bad", "{}", "[]", "\udcff"])
def test_adapter_with_a_damaged_config(
    shelf: Shelf, tmp_path: Path, content: str
) -> None:
    copy = shutil.copytree(shelf.adapter, tmp_path / "adapter")
    raw = content.encode("utf-8", "surrogateescape")
    (copy / "adapter_config.json").write_bytes(raw)
    text = refusal(PairSpec(str(copy)))
    assert str(copy / "adapter_config.json") in text
    assert "PeftModel.save_pretrained" in text


def test_adapter_whose_base_is_gone(shelf: Shelf, tmp_path: Path) -> None:
    copy = shutil.copytree(shelf.adapter, tmp_path / "adapter")
    edit_json(
        copy / "adapter_config.json", base_model_name_or_path="/gone/elsewhere/base"
    )
    text = refusal(PairSpec(str(copy)))
    assert "records '/gone/elsewhere/base' as its base" in text
    assert "-M before=" in text
    pair = load_pair(PairSpec(str(copy), str(shelf.before)))
    assert any("is used as that base" in one for one in pair.notes)
    assert pair.shared_weights


@pytest.mark.parametrize("recorded", [None, ""])
def test_adapter_without_a_recorded_base(
    shelf: Shelf, tmp_path: Path, recorded: str | None
) -> None:
    copy = shutil.copytree(shelf.adapter, tmp_path / "adapter")
    edit_json(copy / "adapter_config.json", base_model_name_or_path=recorded)
    assert "does not record its base" in refusal(PairSpec(str(copy)))
    assert load_pair(PairSpec(str(copy), str(shelf.before))).shared_weights


def test_adapter_of_another_base_by_name(shelf: Shelf) -> None:
    text = refusal(PairSpec(str(shelf.adapter), str(shelf.after)))
    assert "is an adapter of another base" in text
    assert str(shelf.before) in text
    assert "Leave `before` out" in text


def test_adapter_of_another_hub_base(
    shelf: Shelf, tmp_path: Path, offline: Callable[..., Path]
) -> None:
    copy = shutil.copytree(shelf.adapter, tmp_path / "adapter")
    edit_json(
        copy / "adapter_config.json", base_model_name_or_path="org/right-bnb-4bit"
    )
    for repo in ("other/Right", "org/wrong"):
        shutil.copytree(shelf.before, offline(repo), dirs_exist_ok=True)
    assert load_pair(PairSpec(str(copy), "other/Right")).notes == ()
    assert "adapter of another base" in refusal(PairSpec(str(copy), "org/wrong"))


@pytest.mark.parametrize(
    ("arch", "overrides"),
    [
        ("llama", {"hidden_size": 64, "head_dim": 16}),
        ("llama", {"num_hidden_layers": 3}),
        ("llama", {"num_hidden_layers": 1}),
        ("gpt2", {}),
    ],
)
def test_adapter_of_another_base_by_shape(
    shelf: Shelf, tmp_path: Path, arch: str, overrides: dict[str, Any]
) -> None:
    # A copy under the recorded name, so that only the tensors can tell.
    model = tiny_model(arch, **overrides)
    other = save_checkpoint(tmp_path / "before", model, tiny_tokenizer())
    text = refusal(PairSpec(str(shelf.adapter), str(other)))
    assert f"is an adapter of another base than {other}" in text


def test_failed_adapter_leaves_the_base_usable(shelf: Shelf, tmp_path: Path) -> None:
    file = damaged_copy(shelf.adapter, tmp_path / "adapter", 0.5)
    refusal(PairSpec(str(file.parent)))
    pair = load_pair(PairSpec(str(shelf.adapter)))
    ids = torch.tensor([[2, 9]])
    with torch.inference_mode():
        found = pair.before(input_ids=ids).logits
        assert torch.equal(found, tiny_model(seed=1)(input_ids=ids).logits)


def test_adapter_scale_needs_lora(shelf: Shelf, tmp_path: Path) -> None:
    from peft import IA3Config, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(shelf.before, dtype=torch.float32)
    settings = IA3Config(
        target_modules=["k_proj"], feedforward_modules=[], task_type="CAUSAL_LM"
    )
    get_peft_model(model, settings).save_pretrained(str(tmp_path / "ia3"))
    assert load_pair(PairSpec(str(tmp_path / "ia3"))).shared_weights
    spec = PairSpec(str(tmp_path / "ia3"), adapter_scale=2.0)
    assert "is not a LoRA adapter" in refusal(spec)


def test_second_adapter_argument_is_named(shelf: Shelf, tmp_path: Path) -> None:
    other = save_adapter(shelf.before, tmp_path / "other", seed=9)
    file = damaged_copy(other, tmp_path / "damaged", 0.3)
    text = refusal(PairSpec(str(shelf.adapter), str(file.parent)))
    assert text.startswith("before: corrupt adapter file")
