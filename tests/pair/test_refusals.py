"""Bad checkpoints at the door: each refusal names the argument and the way out."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from inspect_lda.checkpoints.explain import is_out_of_memory
from inspect_lda.errors import LDAError
from inspect_lda.pair import PairSpec, load_pair
from tests.pair.conftest import Shelf, save_adapter
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer


def refusal(spec: PairSpec) -> str:
    with pytest.raises(LDAError) as caught:
        load_pair(spec)
    return str(caught.value)


def edit_json(path: Path, **values: Any) -> None:
    path.write_text(
        json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}),
        encoding="utf-8",
    )


def damaged_copy(source: Path, target: Path, keep: float) -> Path:
    shutil.copytree(source, target)
    file = next(target.glob("*.safetensors"))
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * keep)])
    return file


def test_path_typo_names_the_nearest(shelf: Shelf) -> None:
    text = refusal(PairSpec(f"{shelf.after}r", str(shelf.before)))
    assert text.startswith("after: no checkpoint at")
    assert "did you mean 'after'?" in text
    assert "a local directory" in text


@pytest.mark.parametrize("name", ["./nowhere/model", "../x", "~/no/such", "a/b/c"])
def test_paths_never_go_to_the_hub(shelf: Shelf, name: str) -> None:
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


@pytest.mark.parametrize("name", ["bogus", "flash_attention_2"])
def test_unusable_attention(shelf: Shelf, name: str) -> None:
    if name != "bogus" and torch.cuda.is_available():
        pytest.skip("may be installed")
    spec = PairSpec(str(shelf.after), str(shelf.before), attn_implementation=name)
    assert "could not be loaded on" in refusal(spec)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"dtype": "int4"}, "dtype: got 'int4'. Allowed: auto, float32"),
        ({"adapter_scale": float("nan")}, "adapter_scale: got nan"),
        ({"adapter_scale": float("inf")}, "adapter_scale: got inf"),
    ],
)
def test_bad_values_before_anything_loads(
    values: dict[str, Any], expected: str
) -> None:
    with pytest.raises(LDAError, match=expected.replace(".", r"\.")):
        PairSpec("after", "before", **values)


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
