"""The composite equals a naive two-model loop on every supported architecture."""

from typing import Any

import pytest
import torch

from inspect_lda.engines.composite import AmplifiedLM
from tests.engines.reference import argmax, reference_decode, reference_logits
from tests.tiny import ARCHITECTURES, EOS, tiny_model

PROMPTS = ([5, 9, 33, 12], [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17], [40])
ALPHAS = (0.3, 1.0, 3.0)
STEPS = 12


def left_padded() -> tuple[torch.Tensor, torch.Tensor]:
    length = max(map(len, PROMPTS))
    ids = torch.tensor([[0] * (length - len(p)) + p for p in PROMPTS])
    mask = torch.tensor([[0] * (length - len(p)) + [1] * len(p) for p in PROMPTS])
    return ids, mask


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_generate_equals_the_reference(arch: str) -> None:
    after, before = tiny_model(arch, seed=1), tiny_model(arch, seed=2)
    model: Any = AmplifiedLM(before, after)
    model.generation_config.eos_token_id = None
    ids, mask = left_padded()
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        alpha=torch.tensor(ALPHAS),
        max_new_tokens=STEPS,
        do_sample=False,
    )
    for row, (prompt, alpha) in enumerate(zip(PROMPTS, ALPHAS, strict=True)):
        expected = reference_decode(after, before, prompt, alpha, STEPS, argmax)
        assert output[row, ids.shape[1] :].tolist() == expected


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_logits_equal_the_reference(arch: str) -> None:
    after, before = tiny_model(arch, seed=1), tiny_model(arch, seed=2)
    model = AmplifiedLM(before, after)
    ids, mask = left_padded()
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            alpha=torch.tensor(ALPHAS),
        ).logits[:, -1]
    for row, (prompt, alpha) in enumerate(zip(PROMPTS, ALPHAS, strict=True)):
        expected = reference_logits(after, before, prompt, alpha)
        scale = (1 + 2 * alpha) * float(expected.abs().max())
        assert torch.allclose(logits[row], expected, atol=1e-5 * scale)


def test_alpha_0_and_minus_1_are_the_checkpoints_alone_bit_for_bit() -> None:
    after, before = tiny_model(seed=1), tiny_model(seed=2)
    model = AmplifiedLM(before, after)
    ids, mask = left_padded()
    with torch.no_grad():
        mixed = model(
            input_ids=ids, attention_mask=mask, alpha=torch.tensor([0.0, -1.0, 2.0])
        ).logits
        assert torch.equal(mixed[0], after(ids, attention_mask=mask).logits[0])
        assert torch.equal(mixed[1], before(ids, attention_mask=mask).logits[1])


def test_identity_pair_is_flat_and_runs_once() -> None:
    after = tiny_model(seed=1)
    model = AmplifiedLM(after, after)
    assert model.config.num_hidden_layers == after.config.num_hidden_layers
    ids, mask = left_padded()
    with torch.no_grad():
        flat = model(input_ids=ids, attention_mask=mask, alpha=20.0).logits
        assert torch.equal(flat, after(ids, attention_mask=mask).logits)


def test_identical_weights_in_two_copies_are_flat_too() -> None:
    model = AmplifiedLM(tiny_model(seed=1), tiny_model(seed=1))
    ids, mask = left_padded()
    with torch.no_grad():
        plain = model(input_ids=ids, attention_mask=mask, alpha=0.0).logits
        amplified = model(input_ids=ids, attention_mask=mask, alpha=20.0).logits
    assert torch.equal(plain, amplified)


def test_halves_of_different_depth() -> None:
    after = tiny_model(seed=1, num_hidden_layers=3)
    before = tiny_model(seed=2, num_hidden_layers=1)
    model: Any = AmplifiedLM(before, after)
    model.generation_config.eos_token_id = None
    prompt = torch.tensor([PROMPTS[0]])
    output = model.generate(
        input_ids=prompt, alpha=1.0, max_new_tokens=STEPS, do_sample=False
    )
    expected = reference_decode(after, before, PROMPTS[0], 1.0, STEPS, argmax)
    assert output[0, len(PROMPTS[0]) :].tolist() == expected


def test_moe_pair_builds_and_matches() -> None:
    settings = {
        "vocab_size": 97,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
    }
    after = tiny_model("qwen3_moe", seed=1, **settings)
    before = tiny_model("qwen3_moe", seed=2, **settings)
    model: Any = AmplifiedLM(before, after)
    model.generation_config.eos_token_id = None
    prompt = torch.tensor([PROMPTS[0]])
    output = model.generate(
        input_ids=prompt, alpha=0.5, max_new_tokens=STEPS, do_sample=False
    )
    expected = reference_decode(after, before, PROMPTS[0], 0.5, STEPS, argmax)
    assert output[0, len(PROMPTS[0]) :].tolist() == expected


def test_a_prompt_token_that_before_never_had() -> None:
    before = tiny_model(seed=2)
    after = tiny_model(seed=1)
    after.resize_token_embeddings(99)
    shared = torch.arange(99) < 97
    model = AmplifiedLM(before, after, shared=shared)
    seen = []
    before.register_forward_pre_hook(
        lambda _, __, kwargs: seen.append(kwargs["input_ids"]), with_kwargs=True
    )
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[5, 98, 7]]), alpha=1.0).logits
    assert logits.shape == (1, 3, 99)
    assert logits.isfinite().all()
    assert seen[0].tolist() == [[5, EOS, 7]]
