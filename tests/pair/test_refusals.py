"""Bad checkpoints at the door: each refusal names the argument and the way out."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from inspect_lda.checkpoints.explain import is_out_of_memory
from inspect_lda.errors import LDAError
from inspect_lda.pair import PairSpec
from tests.pair.conftest import Shelf
from tests.pair.refusing import damaged_copy, edit_json, refusal
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer


def test_path_typo_names_the_nearest(shelf: Shelf) -> None:
    text = refusal(PairSpec(f"{shelf.after}r", str(shelf.before)))
    assert text.startswith("after: no checkpoint at")
    assert "did you mean 'after'?" in text
    assert "a local directory" in text


@pytest.mark.parametrize("name", ["./nowhere/model", "../x", "~/no/such", "a/b/c"])
def test_paths_never_go_to_the_hub(
    shelf: Shelf, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert refusal(PairSpec(name, str(shelf.before))).startswith(
        "after: no checkpoint at"
    )


def test_missing_before(shelf: Shelf) -> None:
    text = refusal(PairSpec(str(shelf.after)))
    assert text.startswith("before: missing.")
    assert "-M before=" in text


@pytest.mark.parametrize("name", ["", "  "])
def test_empty_name(shelf: Shelf, name: str) -> None:
    assert "before: got an empty" in refusal(PairSpec(str(shelf.after), name))


def test_file_instead_of_directory(shelf: Shelf) -> None:
    text = refusal(PairSpec(str(shelf.after / "config.json"), str(shelf.before)))
    assert "is a file, not a checkpoint" in text
    assert str(shelf.after) in text


def test_missing_gguf_file(shelf: Shelf) -> None:
    text = refusal(PairSpec(f"{shelf.after}:model.gguf", str(shelf.before)))
    assert "no checkpoint at" in text
    assert "model.gguf" in text


def test_hub_id_without_network(shelf: Shelf, offline: Callable[..., Path]) -> None:
    text = refusal(PairSpec("org/name@v1", str(shelf.before)))
    assert text.startswith("after: 'org/name' at revision 'v1' is neither")
    for way_out in ("local directory", "HF_HUB_OFFLINE", "HF_HOME"):
        assert way_out in text


def test_empty_directory(shelf: Shelf, tmp_path: Path) -> None:
    text = refusal(PairSpec(str(tmp_path), str(shelf.before)))
    assert text.startswith("after: ")
    assert "config.json" in text


def test_no_tokenizer(shelf: Shelf, tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path / "after")
    text = refusal(PairSpec(str(tmp_path / "after"), str(shelf.before)))
    assert text.startswith("after: no tokenizer in")
    assert "tokenizer.json" in text


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5])
def test_damaged_weights_name_the_file(
    shelf: Shelf, tmp_path: Path, keep: float
) -> None:
    file = damaged_copy(shelf.after, tmp_path / "after", keep)
    text = refusal(PairSpec(str(file.parent), str(shelf.before)))
    assert text.startswith("after: corrupt weights:")
    assert str(file) in text


def test_missing_tensor_is_never_random(shelf: Shelf, tmp_path: Path) -> None:
    copy = shutil.copytree(shelf.before, tmp_path / "before")
    tensors = load_file(copy / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    text = refusal(PairSpec(str(shelf.after), str(copy)))
    assert text.startswith("before: ")
    assert "'model.layers.1.mlp.up_proj.weight'" in text


def test_nan_weights(shelf: Shelf, tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        next(model.model.norm.parameters()).fill_(float("nan"))
    save_checkpoint(tmp_path / "after", model, tiny_tokenizer())
    text = refusal(PairSpec(str(tmp_path / "after"), str(shelf.before)))
    assert "gives NaN in float32" in text


def test_unknown_architecture(shelf: Shelf, tmp_path: Path) -> None:
    copy = shutil.copytree(shelf.after, tmp_path / "after")
    edit_json(copy / "config.json", model_type="nosuch")
    text = refusal(PairSpec(str(copy), str(shelf.before)))
    assert "does not know" in text
    assert "Upgrade transformers" in text


def test_remote_code_is_off(shelf: Shelf, tmp_path: Path) -> None:
    copy = shutil.copytree(shelf.after, tmp_path / "after")
    edit_json(
        copy / "config.json",
        model_type="nosuch",
        auto_map={"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"},
    )
    (copy / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    text = refusal(PairSpec(str(copy), str(shelf.before)))
    assert "-M trust_remote_code=true" in text
    assert not (tmp_path / "ran").exists()


def test_state_space_model(shelf: Shelf, tmp_path: Path) -> None:
    mamba = tiny_model(
        "mamba", vocab_size=97, hidden_size=32, num_hidden_layers=2, state_size=4
    )
    save_checkpoint(tmp_path / "mamba", mamba, tiny_tokenizer())
    text = refusal(PairSpec(str(shelf.after), str(tmp_path / "mamba")))
    assert text.startswith("before: ")
    assert "'mamba'" in text
    assert "attention" in text


def test_encoder_decoder(shelf: Shelf, tmp_path: Path) -> None:
    copy = shutil.copytree(shelf.after, tmp_path / "t5")
    edit_json(copy / "config.json", model_type="t5", is_encoder_decoder=True)
    text = refusal(PairSpec(str(copy), str(shelf.before)))
    assert "is an encoder-decoder ('t5')" in text


def test_quantized_on_one_side(shelf: Shelf, tmp_path: Path) -> None:
    four = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    copy = shutil.copytree(shelf.after, tmp_path / "four")
    edit_json(copy / "config.json", quantization_config=four)
    text = refusal(PairSpec(str(copy), str(shelf.before)))
    assert "is bitsandbytes 4-bit" in text
    assert "is not quantised" in text
    assert "-M allow_mixed_quantization=true" in text
    other = shutil.copytree(shelf.before, tmp_path / "eight")
    eight = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    edit_json(other / "config.json", quantization_config=eight)
    assert "is bitsandbytes 8-bit" in refusal(PairSpec(str(copy), str(other)))


def test_mixed_quantization_can_be_allowed(shelf: Shelf) -> None:
    from transformers import AutoConfig

    from inspect_lda.checkpoints.preflight import check_configs
    from inspect_lda.checkpoints.sides import find_sides

    sides = find_sides(str(shelf.after), str(shelf.before))
    plain, four = (AutoConfig.from_pretrained(shelf.after) for _ in range(2))
    four.quantization_config = {"quant_method": "gptq", "bits": 4}
    pair = (sides.after, sides.before)
    notes = check_configs(*pair, (four, plain), allow_mixed_quantization=True)
    assert ["quantisation error" in one for one in notes] == [True]
    assert check_configs(*pair, (four, four), allow_mixed_quantization=False) == ()


def test_out_of_memory(shelf: Shelf, tmp_path: Path) -> None:
    # Transformers allocates missing tensors, so a config alone can ask for terabytes.
    copy = shutil.copytree(shelf.after, tmp_path / "huge")
    edit_json(copy / "config.json", intermediate_size=2**36)
    tensors = load_file(copy / "model.safetensors")
    kept = {name: one for name, one in tensors.items() if "mlp" not in name}
    save_file(kept, copy / "model.safetensors", {"format": "pt"})
    text = refusal(PairSpec(str(copy), str(shelf.before)))
    assert text.startswith("after: out of memory")
    for part in ("in float32 on cpu", "GiB", "dtype=float16", "device=", "adapter"):
        assert part in text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("shape mismatch"), False),
    ],
)
def test_kinds_of_out_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "mps:7", "balanced"])
def test_absent_device(shelf: Shelf, device: str) -> None:
    if device == "balanced" and torch.cuda.is_available():
        pytest.skip("needs a machine without GPUs")
    text = refusal(PairSpec(str(shelf.after), str(shelf.before), device=device))
    assert text.startswith("device: ")
    assert "auto, cpu, cuda" in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"dtype": "int4"}, "dtype: got 'int4'. Allowed: auto, float32"),
        ({"head_dtype": "float16"}, "head_dtype: got 'float16'. Allowed: auto"),
        ({"adapter_scale": float("nan")}, "adapter_scale: got nan"),
        ({"adapter_scale": float("inf")}, "adapter_scale: got inf"),
    ],
)
def test_bad_values_before_anything_loads(
    values: dict[str, Any], expected: str
) -> None:
    with pytest.raises(LDAError, match=expected.replace(".", r"\.")):
        PairSpec("after", "before", **values)
