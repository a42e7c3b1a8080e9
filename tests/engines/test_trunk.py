"""A shared trunk changes the cost and nothing else."""

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.choose import amplified_lm
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.halves import causal_lm
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.engines.trunk import TrunkLM, shared_depth
from inspect_lda.pair import PairSpec
from tests.engines.reference import argmax, reference_decode
from tests.engines.requests import NO_EOS, PROMPTS, no_eos
from tests.tiny import WINDOW, save_checkpoint, tiny_model, tiny_tokenizer

GEMMA3 = {"layer_types": ["sliding_attention", "full_attention"] * 2}
SPLIT = ("llama", "qwen2", "qwen3", "olmo2", "gemma2", "gemma3_text", "mistral")


def adapted(base: PreTrainedModel, layers: list[int], seed: int = 0) -> PeftModel:
    """A LoRA with real size on some layers of a copy over the same tensors."""
    tensors = [*base.parameters(), *base.buffers()]
    tree = copy.deepcopy(base, {id(one): one for one in tensors})
    config = LoraConfig(
        r=4, target_modules=["q_proj", "down_proj"], layers_to_transform=layers
    )
    model = get_peft_model(tree, config)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator)
    return model.eval().requires_grad_(False)


def four_layers(arch: str) -> PreTrainedModel:
    extra = GEMMA3 if arch == "gemma3_text" else {}
    return tiny_model(arch, seed=1, num_hidden_layers=4, **extra)


@pytest.mark.parametrize("arch", SPLIT)
def test_suffix_adapter_runs_the_trunk_once_and_decodes_the_same(arch: str) -> None:
    before = four_layers(arch)
    after = adapted(before, [2, 3])
    model = amplified_lm(before, after)
    assert isinstance(model, TrunkLM)
    assert model.depth == 2
    assert model.config.num_hidden_layers == 6
    calls = []
    model.trunk.register_forward_hook(lambda *_: calls.append(1))
    model.generation_config.eos_token_id = None
    steps = 14
    generator: Any = model
    output = generator.generate(
        input_ids=torch.tensor([PROMPTS[0]]),
        alpha=1.5,
        max_new_tokens=steps,
        do_sample=False,
    )
    assert len(calls) == steps
    expected = reference_decode(after, before, PROMPTS[0], 1.5, steps, argmax)
    assert output[0, len(PROMPTS[0]) :].tolist() == expected


def test_layer_types_stay_with_their_layers() -> None:
    types = ["full_attention", *["sliding_attention"] * 2, "full_attention"]
    before = tiny_model("gemma3_text", seed=1, num_hidden_layers=4, layer_types=types)
    after = adapted(before, [1, 2, 3])
    model: Any = amplified_lm(before, after)
    assert isinstance(model, TrunkLM)
    assert model.config.layer_types == [*types, *types[1:]]
    assert model.after_top.config.layer_types == types[1:]
    model.generation_config.eos_token_id = None
    steps = 3 * WINDOW  # the probe at load is not as long as a window
    generator: Any = model
    output = generator.generate(
        input_ids=torch.tensor([PROMPTS[1]]),
        alpha=1.5,
        max_new_tokens=steps,
        do_sample=False,
    )
    expected = reference_decode(after, before, PROMPTS[1], 1.5, steps, argmax)
    assert output[0, len(PROMPTS[1]) :].tolist() == expected


def test_two_adapters_of_one_base_share_its_trunk() -> None:
    base = four_layers("llama")
    model = amplified_lm(adapted(base, [3], seed=1), adapted(base, [2, 3], seed=2))
    assert isinstance(model, TrunkLM)
    assert model.depth == 2


def test_whole_models_where_nothing_is_shared() -> None:
    base = four_layers("llama")
    assert not isinstance(amplified_lm(base, adapted(base, [0, 3])), TrunkLM)
    assert type(amplified_lm(four_layers("llama"), four_layers("llama"))) is AmplifiedLM
    resized = copy.deepcopy(base)
    assert shared_depth(base, resized) == 0


def test_a_class_that_can_not_be_split_runs_whole() -> None:
    base = tiny_model("gpt2", seed=1, n_layer=4)
    tensors = [*base.parameters(), *base.buffers()]
    tree = copy.deepcopy(base, {id(one): one for one in tensors})
    config = LoraConfig(
        r=4, target_modules=["c_attn"], layers_to_transform=[3], layers_pattern="h"
    )
    after = get_peft_model(tree, config).eval()
    model = amplified_lm(base, after)
    assert type(model) is AmplifiedLM


def test_equal_tensors_that_compute_otherwise_run_whole() -> None:
    before = adapted(four_layers("llama"), [0])
    tensors = [*before.parameters(), *before.buffers()]
    after = copy.deepcopy(before, {id(one): one for one in tensors})
    for module in after.modules():
        scaling: Any = getattr(module, "scaling", None)
        if isinstance(scaling, dict):
            scaling["default"] *= 3  # as `adapter_scale` does
    assert shared_depth(causal_lm(after), causal_lm(before)) == 3
    assert type(amplified_lm(before, after)) is AmplifiedLM


@pytest.mark.parametrize("part", ["model.embed_tokens", "model.norm", "lm_head"])
def test_what_training_changed_outside_the_layers(part: str) -> None:
    before = four_layers("llama")
    tensors = [*before.parameters(), *before.buffers()]
    after = copy.deepcopy(before, {id(one): one for one in tensors})
    weight = after.get_submodule(part).weight
    assert isinstance(weight, torch.Tensor)
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(3))
    after.get_submodule(part).weight = torch.nn.Parameter(weight + noise)
    model: Any = amplified_lm(before, after)
    assert isinstance(model, TrunkLM) == (part != "model.embed_tokens")
    model.generation_config.eos_token_id = None
    output = model.generate(
        input_ids=torch.tensor([PROMPTS[0]]),
        alpha=1.5,
        max_new_tokens=9,
        do_sample=False,
    )
    expected = reference_decode(after, before, PROMPTS[0], 1.5, 9, argmax)
    assert output[0, len(PROMPTS[0]) :].tolist() == expected


async def test_the_engine_rolls_over_a_trunk(tmp_path: Path) -> None:
    base = four_layers("llama")
    save_checkpoint(tmp_path / "base", base, tiny_tokenizer())
    adapted(base, [2, 3]).save_pretrained(str(tmp_path / "adapter"))
    engine = TransformersEngine(
        PairSpec(
            after=str(tmp_path / "adapter"),
            before=str(tmp_path / "base"),
            dtype="float32",
            device="cpu",
        ),
        max_batch=2,
    )
    sampling = Sampling(temperature=0, logit_bias=NO_EOS)
    requests = [
        Request(prompt, alpha, sampling, max_tokens=steps)
        for prompt, alpha, steps in zip(
            PROMPTS * 2,
            (0.3, 1.0, 3.0, 0.0, -1.0, 0.5),
            (9, 4, 12, 3, 8, 6),
            strict=True,
        )
    ]
    try:
        completions = await asyncio.gather(*map(engine.generate, requests))
        pair = await engine.pair()
    finally:
        engine.close()
    assert pair.shared_weights
    for asked, got in zip(requests, completions, strict=True):
        assert list(got.tokens) == reference_decode(
            pair.after, pair.before, asked.prompt, asked.alpha, asked.max_tokens, no_eos
        )
