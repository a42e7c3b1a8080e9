"""The oracle: two checkpoints, float32, one unpadded row, no cache."""

from collections.abc import Callable, Sequence

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

Model = PreTrainedModel | PeftModel


@torch.no_grad()
def reference_logits(
    after: Model, before: Model, ids: Sequence[int], alpha: float
) -> Tensor:
    """Amplified logits `[V]` after the last id."""
    row = torch.tensor([list(ids)])
    a: Tensor = after(input_ids=row, use_cache=False).logits[0, -1].float()
    b: Tensor = before(input_ids=row, use_cache=False).logits[0, -1].float()
    return a + alpha * (a - b)


def reference_decode(
    after: Model,
    before: Model,
    prompt: Sequence[int],
    alpha: float,
    steps: int,
    choose: Callable[[Tensor], int],
) -> list[int]:
    """Decode `steps` tokens, each chosen from the amplified logits."""
    ids = list(prompt)
    for _ in range(steps):
        ids.append(choose(reference_logits(after, before, ids, alpha)))
    return ids[len(prompt) :]


def argmax(logits: Tensor) -> int:
    """Greedy choice."""
    return int(logits.argmax())
