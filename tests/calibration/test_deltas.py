"""Weight differences, counted again in the plainest way."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from inspect_lda.calibration.deltas import compare, erased_of_adapter
from inspect_lda.calibration.stored import Loaded, files_of
from inspect_lda.checkpoints.source import locate
from inspect_lda.engines.halves import causal_lm
from tests.calibration.conftest import Shelf
from tests.calibration.pairs import (
    as_dtype,
    load,
    save_adapter,
    save_base,
    save_merged,
)

BF16 = torch.bfloat16


def files(path: Path) -> Any:
    found = files_of(locate(str(path), "after"))
    assert found is not None
    return found


def additions(adapter: Path) -> dict[str, torch.Tensor]:
    """What a LoRA adds, from its loaded layers."""
    layers = dict(causal_lm(load(adapter).after).named_modules())
    return {
        name: layer.get_delta_weight("default")
        for name, layer in layers.items()
        if hasattr(layer, "get_delta_weight")
    }


def test_an_adapter_that_would_be_erased_by_merging(shelf: Shelf) -> None:
    pair = load(shelf.weak)
    found = compare("adapter", Loaded(causal_lm(pair.after)), Loaded(pair.before))
    base = AutoModelForCausalLM.from_pretrained(shelf.base, dtype=torch.float32)
    weights = dict(base.named_parameters())
    total, lost = 0, {torch.bfloat16: 0, torch.float16: 0}
    for name, delta in additions(shelf.weak).items():
        weight = weights[f"{name}.weight"]
        total += int((delta != 0).sum())
        for dtype in lost:
            kept = (weight + delta).to(dtype) != weight.to(dtype)
            lost[dtype] += int(((delta != 0) & ~kept).sum())
    assert found.changed_weights == total
    assert found.changed_tensors == len(additions(shelf.weak)) == 4
    assert {e.dtype: e.weights for e in found.erased} == {
        "bfloat16": lost[torch.bfloat16],
        "float16": lost[torch.float16],
    }
    assert 0.3 * total < lost[torch.bfloat16] < total
    assert not found.looks_rounded


def test_a_weak_adapter_stored_merged_is_flagged(shelf: Shelf) -> None:
    found = compare("files", files(shelf.merged_weak), files(shelf.base_half))
    ours = AutoModelForCausalLM.from_pretrained(shelf.merged_weak, dtype=BF16)
    theirs = AutoModelForCausalLM.from_pretrained(shelf.base_half, dtype=BF16)
    touched = equal = 0
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        if not torch.equal(a, b):
            touched += a.numel()
            equal += int((a == b).sum())
    assert found.looks_rounded
    assert (found.grid, found.rounded_weights) == ("bfloat16", 0)
    assert (found.touched_weights, found.equal_on_grid) == (touched, equal)
    assert found.changed_weights == touched - equal
    assert 0 < found.one_step < found.changed_weights


def test_the_adapter_at_hand_gives_the_exact_number(shelf: Shelf) -> None:
    pair = load(shelf.merged_weak, shelf.base, dtype="float32")
    adapted = Loaded(causal_lm(load(shelf.weak, shelf.base).after))
    erased, total = erased_of_adapter(Loaded(pair.after), adapted)
    found = compare("files", files(shelf.merged_weak), files(shelf.base))
    assert (erased, total) == (found.equal_on_grid, found.touched_weights)
    assert found.looks_rounded
    # The base is in float32: the tensors that nobody trained differ by rounding alone.
    assert found.changed_tensors == 4
    assert found.rounded_weights > 0


def test_ordinary_differences_are_not_flagged(shelf: Shelf, tmp_path: Path) -> None:
    apart = compare("files", files(shelf.other), files(shelf.base))
    assert not apart.looks_rounded
    assert apart.grid == "float32"
    strong = save_adapter(shelf.base, tmp_path / "strong", scale=0.2)
    merged = save_merged(shelf.base, strong, tmp_path / "merged", BF16)
    found = compare("files", files(merged), files(shelf.base_half))
    assert found.changed_tensors == 4
    assert not found.looks_rounded


def test_the_same_checkpoint_twice(shelf: Shelf) -> None:
    same = compare("files", files(shelf.base), files(shelf.base))
    assert (same.changed_tensors, same.changed_weights, same.ulps) == (0, 0, None)
    assert same.weights == sum(
        p.numel() for p in AutoModelForCausalLM.from_pretrained(shelf.base).parameters()
    )


def test_files_of_several_parts_and_loaded_weights_say_the_same(
    shelf: Shelf, tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(shelf.other, dtype=torch.float32)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    split = compare("files", files(tmp_path), files(shelf.base))
    pair = load(shelf.other, shelf.base)
    loaded = compare("files", Loaded(pair.after), Loaded(pair.before))
    assert split == loaded == compare("files", files(shelf.other), files(shelf.base))
    assert files(shelf.base).dtypes() == ("float32",)
    assert files(shelf.base_half).dtypes() == ("bfloat16",)


def test_a_change_of_a_known_size(shelf: Shelf, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(shelf.base_half, dtype=BF16)
    weight = model.model.layers[0].mlp.up_proj.weight
    weight.data = torch.nextafter(weight.data, torch.tensor(9.0, dtype=BF16))
    model.save_pretrained(tmp_path)
    found = compare("files", files(tmp_path), files(shelf.base_half))
    assert (found.changed_tensors, found.equal_on_grid) == (1, 0)
    assert found.one_step == found.changed_weights == weight.numel()
    assert found.ulps is not None
    assert 0.9 < found.ulps[1] < 1.1


def test_tensors_without_a_counterpart_are_told(shelf: Shelf, tmp_path: Path) -> None:
    stored = as_dtype(shelf.base, tmp_path / "copy", torch.float32)
    whole = dict(files(stored))
    part = {k: v for k, v in whole.items() if "lm_head" not in k}
    found = compare("files", part, whole)
    assert found.notes == ("1 tensors have no counterpart, e.g. lm_head.weight",)


def test_a_float32_copy_of_a_tied_head_is_no_weight(tmp_path: Path) -> None:
    tied = save_base(tmp_path / "tied", tie_word_embeddings=True)
    plain, wide = (
        load(tied, tied, dtype="bfloat16", head_dtype=head)
        for head in ("auto", "float32")
    )
    assert list(Loaded(wide.after)) == list(Loaded(plain.after))
