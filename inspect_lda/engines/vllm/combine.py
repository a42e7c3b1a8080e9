"""The decoding rule over the width of vLLM's logits."""

import torch
from torch import Tensor, nn

from inspect_lda.checkpoints.block import IdsBlock, Ranges
from inspect_lda.decoding.amplify import amplify


class Combine(nn.Module):
    """`amplify`, and -inf for ids that `after`'s tokenizer does not know.

    Args:
        ids: What the tokenizers have in common.
    """

    allowed: Tensor | None
    shared: Tensor | None

    def __init__(self, ids: IdsBlock) -> None:
        super().__init__()
        self.size = ids.size
        # Padding of an embedding table stands at its end: cutting it off is free,
        # where a mask is a pass over every logit.
        self.width = ids.allowed[-1][1]
        for name, known in (("allowed", ids.allowed), ("shared", ids.shared)):
            known_ids = mask(known, self.width)
            buffer = None if bool(known_ids.all()) else known_ids
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, after: Tensor, before: Tensor, alpha: Tensor) -> Tensor:
        """Amplified logits `[rows, size]`, float32.

        Args:
            after: `[rows, size]` logits of any dtype.
            before: `[rows, V_before]` logits.
            alpha: `[rows]` float32.
        """
        amplified = amplify(
            after[..., : self.width],
            before[..., : self.width],
            alpha,
            allowed=self.allowed,
            shared=self.shared,
        )
        padding = self.size - self.width
        if padding == 0:
            return amplified
        return nn.functional.pad(amplified, (0, padding), value=-torch.inf)


def mask(known: Ranges, width: int) -> Tensor:
    """`[width]` bool, true for the ids of these ranges."""
    # On the CPU: under vLLM's loader the default device is the accelerator.
    ids = torch.zeros(width, dtype=torch.bool, device="cpu")
    for start, end in known:
        ids[start:end] = True
    return ids
