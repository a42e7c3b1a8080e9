"""Memory that the steps of a batch work in."""

from typing import NamedTuple

import torch
from torch import Tensor


class Scratch(NamedTuple):
    """Memory of a step, `[batch, V]` float32 each; no value outlives the step.

    Fresh tensors of some MB cost more than the arithmetic in them: the operating
    system hands them out page by page, and takes them back.
    """

    after: Tensor
    before: Tensor
    amplified: Tensor
    mass: Tensor
    spare: Tensor

    @classmethod
    def of(cls, batch: int, vocabulary: int, device: torch.device) -> "Scratch":
        """Reserve memory."""
        shape = (5, batch, vocabulary)
        return cls(*torch.empty(shape, dtype=torch.float32, device=device))

    def rows(self, batch: int) -> "Scratch":
        """The part for a smaller batch."""
        return Scratch(*(memory[:batch] for memory in self))
