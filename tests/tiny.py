"""Tiny random checkpoints and tokenizers: real classes, real files, milliseconds each.

Everything is a function of its arguments, so that two calls with one seed give equal
weights. Ids 0 to 3 are `<pad>`, `<eos>`, `<bos>` and `<unk>`, in models and tokenizer.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

PAD, EOS, BOS, UNK = range(4)
SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>")
VOCAB = 97
WINDOW = 8

ARCHITECTURES = (
    "llama",
    "qwen2",
    "qwen3",
    "olmo2",
    "gemma2",
    "gemma3_text",
    "mistral",
    "gpt2",
    "gpt_neox",
)

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}"
    "{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)

_CHARACTERS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    " \n.,:;?!'\"-_()/|<>{}[]"
)
_MERGES = (
    ("t", "h"),
    ("th", "e"),
    ("i", "n"),
    ("e", "r"),
    ("a", "n"),
    ("o", "u"),
    ("y", "ou"),
    ("r", "e"),
    ("o", "n"),
    ("s", "t"),
    ("h", "a"),
    ("t", "e"),
)

_COMMON: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "pad_token_id": PAD,
    "eos_token_id": EOS,
    "bos_token_id": BOS,
}
_GROUPED = {**_COMMON, "num_key_value_heads": 2, "head_dim": 8}
_GEMMA = {**_GROUPED, "sliding_window": WINDOW, "query_pre_attn_scalar": 8}
_GPT2 = {
    "vocab_size": VOCAB,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 256,
    "pad_token_id": PAD,
    "eos_token_id": EOS,
    "bos_token_id": BOS,
}
_SETTINGS: dict[str, dict[str, Any]] = {
    "llama": _GROUPED,
    "qwen2": _GROUPED,
    "qwen3": _GROUPED,
    "olmo2": _GROUPED,
    "gemma2": _GEMMA,
    # Two layers would all be sliding: the pattern makes the second one full.
    "gemma3_text": {
        **_GEMMA,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "mistral": {**_GROUPED, "sliding_window": WINDOW},
    "gpt2": _GPT2,
    "gpt_neox": _COMMON,
}


def tiny_model(arch: str = "llama", seed: int = 0, **overrides: Any) -> PreTrainedModel:
    """A random causal LM in float32, eval mode, with logits whose std is about 1.

    Args:
        arch: A transformers model type; those in `ARCHITECTURES` have settings here,
            any other is built from `overrides` alone.
        seed: Seed of the weights.
        **overrides: Config values, e.g. `vocab_size=128`.
    """
    settings = {**copy.deepcopy(_SETTINGS.get(arch, {})), **overrides}
    config = AutoConfig.for_model(arch, **settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    # The default initialisation gives nearly uniform distributions, in which a wrong
    # cache or mask hardly shows.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(10)
    model.generation_config = GenerationConfig(
        pad_token_id=PAD, eos_token_id=EOS, bos_token_id=BOS
    )
    model.requires_grad_(False)
    loaded: PreTrainedModel = model.eval()
    return loaded


def tiny_tokenizer(
    vocab_size: int = VOCAB, chat_template: str | None = CHAT_TEMPLATE
) -> PreTrainedTokenizerFast:
    """A character BPE with a few merges; printable text survives a round trip.

    Args:
        vocab_size: 89 to 100; decides how many merges there are.
        chat_template: Jinja template, or None for a base model's tokenizer.
    """
    tokens = [*SPECIALS, *_CHARACTERS]
    merges = list(_MERGES)[: vocab_size - len(tokens)]
    tokens += ["".join(pair) for pair in merges]
    if len(tokens) != vocab_size:
        raise ValueError(f"no tiny tokenizer of size {vocab_size}: allowed 89 to 100")
    vocab = {token: i for i, token in enumerate(tokens)}
    backend = Tokenizer(BPE(vocab=vocab, merges=merges, unk_token="<unk>"))
    backend.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = chat_template
    return tokenizer


def save_checkpoint(
    directory: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> Path:
    """Write a checkpoint directory as `save_pretrained` does, and return it."""
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
