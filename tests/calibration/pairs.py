"""Tiny pairs on disk for the self-test, and the test of one of them."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from inspect_lda.calibration.probes import probe_texts, render_probes
from inspect_lda.calibration.result import SelfTest
from inspect_lda.calibration.self_test import Plan, run_self_test
from inspect_lda.chat.render import ChatRenderer
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.pair import Pair, PairSpec, load_pair
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

ROWS = 4


def load(after: Path | str, before: Path | str | None = None, **fields: Any) -> Pair:
    """Load a pair on the CPU."""
    other = None if before is None else str(before)
    return load_pair(PairSpec(str(after), other, device="cpu", **fields))


def self_test_of(decoder: PairDecoder, **fields: Any) -> SelfTest:
    """A small self-test of a decoder's pair."""
    renderer = ChatRenderer(decoder.pair.tokenizer, checkpoint="tiny")
    settings: dict[str, Any] = {
        "level": "full",
        "prompts": render_probes(renderer, probe_texts()[:6], 120),
        "rows": ROWS,
        "length": 3,
        "points": 4,
        **fields,
    }
    return run_self_test(decoder, Plan(**settings))


def save_base(folder: Path, seed: int = 1, **overrides: Any) -> Path:
    """A random checkpoint."""
    model = tiny_model(seed=seed, **overrides)
    return save_checkpoint(folder, model, tiny_tokenizer())


def save_adapter(base: Path, folder: Path, scale: float = 0.02) -> Path:
    """A LoRA over it; at scale 0.02 it moves a weight by some 8 steps of bfloat16."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=["q_proj", "down_proj"],
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(model, config)
    generator = torch.Generator().manual_seed(3)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data = noise * (scale if "lora_B" in name else 0.1)
    adapted.save_pretrained(str(folder))
    return folder


def save_merged(base: Path, adapter: Path, folder: Path, dtype: torch.dtype) -> Path:
    """The adapter merged into its base, as many checkpoints are published."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    merged: Any = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    return save_checkpoint(folder, merged, tiny_tokenizer())


def as_dtype(source: Path, folder: Path, dtype: torch.dtype) -> Path:
    """A checkpoint stored again in another dtype."""
    model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
    return save_checkpoint(folder, model, tiny_tokenizer())
