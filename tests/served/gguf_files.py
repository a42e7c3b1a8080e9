"""Tiny llama pairs as files: for llama.cpp (GGUF) and for transformers, equal in ids.

A pair is `before` and `after` = `before` + a perturbation of every weight, in float32.
Logits are about as peaked as those of a small language model: the 20 likeliest of a few
hundred ids hold most of the probability.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from benchmarks.llama_gguf import write_llama
from tests.served.vocabularies import Vocabulary, served_tokenizer
from tests.tiny import save_checkpoint, tiny_model

CONTEXT = 512
# Relative size of the perturbation: a total variation of about 0.1 at every token.
PUSH = 0.02


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint, three times.

    Attributes:
        model: In memory, float32.
        folder: Saved with its tokenizer, for `from_pretrained`.
        gguf: The file for llama.cpp.
    """

    model: PreTrainedModel
    folder: Path
    gguf: Path

    def logprobs(self, prefix: list[int]) -> torch.Tensor:
        """Log-probabilities [vocabulary] of the token after `prefix`, float64."""
        with torch.inference_mode():
            logits = self.model(torch.tensor([prefix])).logits[0, -1]
        logprobs: torch.Tensor = logits.double().log_softmax(-1)
        return logprobs


@dataclass(frozen=True)
class Pair:
    """Two checkpoints with one tokenizer."""

    after: Checkpoint
    before: Checkpoint
    tokenizer: PreTrainedTokenizerFast

    def chat(self, text: str) -> list[int]:
        """Ids of a chat with one message of the user, up to the assistant's turn."""
        return chat(self.tokenizer, text)


def chat(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Ids of a chat with one message of the user, up to the assistant's turn."""
    messages = [{"role": "user", "content": text}]
    rendered: Any = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    ids: list[int] = rendered["input_ids"]
    return ids


def served_model(vocab_size: int, seed: int, peak: float = 2.0) -> PreTrainedModel:
    """A random llama of two layers and 64 dimensions.

    Args:
        vocab_size: Number of ids.
        seed: Seed of the weights.
        peak: Multiplies the logits.
    """
    model = tiny_model(
        "llama",
        seed,
        vocab_size=vocab_size,
        hidden_size=64,
        intermediate_size=128,
        head_dim=16,
        max_position_embeddings=CONTEXT,
    )
    # Smaller steps inside: rounding grows with them, and here it is what is measured.
    for weight in model.get_submodule("model.layers").parameters():
        if weight.ndim > 1:
            weight.mul_(0.5)
    model.get_output_embeddings().weight.mul_(peak)
    return model


def pushed(model: PreTrainedModel, seed: int, size: float = PUSH) -> PreTrainedModel:
    """A copy of `model` with noise on every weight, relative to the weight's own."""
    other = type(model)(model.config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.state_dict().items():
        noise = torch.randn(weight.shape, generator=generator)
        other.state_dict()[name].copy_(weight * (1 + size * noise))
    copied: PreTrainedModel = other
    return copied


def write_pair(
    folder: Path,
    after: PreTrainedModel,
    before: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
) -> Pair:
    """Write both checkpoints in both forms."""
    return Pair(
        after=_write(folder / "after", after, tokenizer),
        before=_write(folder / "before", before, tokenizer),
        tokenizer=tokenizer,
    )


def tiny_pair(
    folder: Path, *, kind: Vocabulary = "text", vocab_size: int = 320, seed: int = 0
) -> Pair:
    """Write a pair of random checkpoints, equal for equal arguments."""
    before = served_model(vocab_size, seed)
    after = pushed(before, seed + 1)
    return write_pair(folder, after, before, served_tokenizer(kind, vocab_size))


def _write(
    folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> Checkpoint:
    save_checkpoint(folder, model, tokenizer)
    gguf = write_llama(folder / "model.gguf", model, tokenizer)
    return Checkpoint(model=model, folder=folder, gguf=gguf)
