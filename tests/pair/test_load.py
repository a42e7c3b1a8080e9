"""Loading: what is shared, what is equal, what is remembered."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from inspect_lda.pair import Pair, PairSpec, clear_registry, load_pair
from tests.pair.conftest import Shelf, save_adapter
from tests.pair.looking import logits, pointers
from tests.tiny import EOS, save_checkpoint, tiny_model, tiny_tokenizer


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
