"""One forward of doubled rows gives what two forwards give."""

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from inspect_lda.engines import choose
from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.doubled import DoubledLM, DoubledTrunkLM, is_plain_lora
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.pair import PairSpec
from tests.engines.reference import argmax, reference_decode
from tests.engines.requests import NO_EOS, PROMPTS, no_eos
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

ARCHITECTURES = ("llama", "qwen2", "qwen3", "olmo2", "gemma2", "gemma3_text", "mistral")
KINDS = ["sliding_attention", "full_attention"] * 2
TARGETS = ["q_proj", "v_proj", "down_proj"]


def adapted(base: PreTrainedModel, **options: Any) -> PeftModel:
    """A LoRA of real size on every layer of a copy over the same tensors."""
    tensors = [*base.parameters(), *base.buffers()]
    tree = copy.deepcopy(base, {id(one): one for one in tensors})
    settings: dict[str, Any] = {"r": 4, "target_modules": TARGETS} | options
    model = get_peft_model(tree, LoraConfig(**settings))
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator)
    return model.eval().requires_grad_(False)


def build(arch: str, layers: list[int] | None) -> tuple[Any, Any, Any]:
    """A doubled model of four layers: whole, or with a trunk below an adapter."""
    extra = {"layer_types": KINDS} if arch == "gemma3_text" else {}
    before = tiny_model(arch, seed=1, num_hidden_layers=4, **extra)
    after = adapted(before, layers_to_transform=layers)
    if layers is None:
        return DoubledLM(before, after), after, before
    return DoubledTrunkLM(before, after, min(layers)), after, before


@pytest.mark.parametrize("own_cache", [True, False])
@pytest.mark.parametrize("layers", [None, [2, 3]])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_generate_equals_the_reference(
    arch: str, layers: list[int] | None, own_cache: bool
) -> None:
    model, after, before = build(arch, layers)
    model.generation_config.eos_token_id = None
    alphas = (0.3, 1.0, -0.5)
    length = max(map(len, PROMPTS))
    ids = torch.tensor([[0] * (length - len(p)) + list(p) for p in PROMPTS])
    mask = (ids > 0).long()
    steps = 14
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        alpha=torch.tensor(alphas),
        max_new_tokens=steps,
        do_sample=False,
        past_key_values=model.new_cache() if own_cache else None,
    )
    for row, (prompt, alpha) in enumerate(zip(PROMPTS, alphas, strict=True)):
        expected = reference_decode(after, before, prompt, alpha, steps, argmax)
        assert output[row, length:].tolist() == expected


def test_the_base_is_read_once() -> None:
    before = tiny_model(seed=1)
    model = DoubledLM(before, adapted(before))
    seen: list[int] = []
    model.doubled.register_forward_pre_hook(
        lambda _, __, kwargs: seen.append(kwargs["input_ids"].shape[0]),
        with_kwargs=True,
    )
    with torch.inference_mode():
        model.halves(None, input_ids=torch.tensor([[5, 6], [7, 8], [9, 10]]))
    assert seen == [6]
    own = {t.data_ptr() for t in before.parameters()}
    copies = [
        name
        for name, t in model.doubled.named_parameters()
        if t.data_ptr() not in own and ".down." not in name and ".up." not in name
    ]
    assert copies == []


@pytest.mark.parametrize(
    "options",
    [
        {"use_dora": True},
        {"lora_bias": True},
        {"modules_to_save": ["lm_head"]},
        {"target_modules": [*TARGETS, "embed_tokens"]},
    ],
)
def test_other_adapters_run_as_two_models(options: dict[str, Any]) -> None:
    before = tiny_model(seed=1)
    after = adapted(before, **options)
    assert not is_plain_lora(after)
    assert type(choose.amplified_lm(before, after)) is AmplifiedLM


@pytest.mark.parametrize("times", [(1.0, 2.0), (2.0, 1.0)])
def test_the_faster_form_is_chosen(
    times: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_seconds, doubled_seconds = times
    monkeypatch.setattr(
        choose,
        "_step_seconds",
        lambda m: doubled_seconds if isinstance(m, DoubledLM) else whole_seconds,
    )
    before = tiny_model(seed=1)
    model = choose.amplified_lm(before, adapted(before))
    assert isinstance(model, DoubledLM) == (doubled_seconds < whole_seconds)


@pytest.mark.parametrize("layers", [None, [2, 3]])
async def test_the_engine_rolls_over_doubled_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: list[int] | None
) -> None:
    monkeypatch.setattr(choose, "_faster", lambda whole, doubled: doubled)
    base = tiny_model(seed=1, num_hidden_layers=4)
    save_checkpoint(tmp_path / "base", base, tiny_tokenizer())
    adapted(base, layers_to_transform=layers).save_pretrained(str(tmp_path / "adapter"))
    spec = PairSpec(
        after=str(tmp_path / "adapter"),
        before=str(tmp_path / "base"),
        dtype="float32",
        device="cpu",
    )
    engine = TransformersEngine(spec, max_batch=3)
    sampling = Sampling(temperature=0, logit_bias=NO_EOS)
    requests = [
        Request(prompt, alpha, sampling, max_tokens=steps)
        for prompt, alpha, steps in zip(
            PROMPTS * 3,
            (0.3, 1.0, 3.0, 0.0, -1.0, 0.5, 2.0, -2.0, 0.1),
            (40, 4, 12, 3, 38, 6, 1, 9, 20),
            strict=True,
        )
    ]
    try:
        completions = await asyncio.gather(*map(engine.generate, requests))
        pair = await engine.pair()
    finally:
        engine.close()
    for asked, got in zip(requests, completions, strict=True):
        assert list(got.tokens) == reference_decode(
            pair.after, pair.before, asked.prompt, asked.alpha, asked.max_tokens, no_eos
        )
