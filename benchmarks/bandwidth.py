"""The memory roofline: bytes a decode step must read, and how fast a device can."""

import time
from typing import cast

import torch
from torch import nn

from benchmarks.contest import processor
from benchmarks.memory import unique_bytes
from inspect_lda.engines.halves import causal_lm, text_config
from inspect_lda.pair import Pair

COPIED_BYTES = {"cuda": 4 << 30, "cpu": 256 << 20}
"""Far more than any cache of the device holds."""
COPIES = 5


def step_bytes(pair: Pair, rows: int, context: int) -> int:
    """Bytes that a step of decoding reads at least once.

    Args:
        pair: Two models that share no weights.
        rows: Rows of the batch.
        context: Tokens a row holds in the cache, on average.
    """
    total = 0
    for model in (causal_lm(pair.after), causal_lm(pair.before)):
        config = text_config(model)
        heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
        width = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        item = model.dtype.itemsize
        # Of an embedding table of its own, a step reads one row a token.
        read = unique_bytes(model.parameters())
        if not config.tie_word_embeddings:
            table = cast(nn.Embedding, model.get_input_embeddings())
            read -= table.weight.nbytes
        total += read
        total += 2 * config.num_hidden_layers * heads * width * item * context * rows
    return total


def measured_bandwidth(device: str) -> float:
    """Bytes a second that a large copy reads and writes, the best of several."""
    kind = torch.device(device).type
    source = torch.ones(COPIED_BYTES[kind], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(COPIES + 1):
        _wait(kind)
        begun = time.perf_counter()
        target.copy_(source)
        _wait(kind)
        best = max(best, 2 * source.nbytes / (time.perf_counter() - begun))
    return best


def device_name(device: str) -> str:
    """What the device is called."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor()


def _wait(kind: str) -> None:
    if kind == "cuda":
        torch.cuda.synchronize()
