"""A cache layer that grows without copying itself at every token."""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

HEADROOM = 32
"""Columns reserved ahead; at the end of them the layer is copied once."""


class GrowingLayer(DynamicLayer):
    """A `DynamicLayer` that writes new states into reserved memory.

    `DynamicLayer` concatenates, which copies the whole layer for every token: at 64
    rows of 60 tokens that is a fifth of a step on a CPU. `keys` and `values` are views
    of the reserved memory; assigning other tensors to them (rows that left or joined)
    is noticed at the next update.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._key_memory: Tensor | None = None
        self._value_memory: Tensor | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append states `[batch, heads, n, d]`; return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        length = self.get_seq_length()
        self._key_memory = _reserve(self._key_memory, self.keys, length, key_states)
        self._value_memory = _reserve(
            self._value_memory, self.values, length, value_states
        )
        total = length + key_states.shape[-2]
        self._key_memory[:, :, length:total] = key_states
        self._value_memory[:, :, length:total] = value_states
        self.keys = self._key_memory[:, :, :total]
        self.values = self._value_memory[:, :, :total]
        return self.keys, self.values


def _reserve(
    memory: Tensor | None, current: Tensor | Any, length: int, new: Tensor
) -> Tensor:
    needed = length + new.shape[-2]
    if (
        memory is not None
        and length > 0
        and current.data_ptr() == memory.data_ptr()
        and current.shape[0] == memory.shape[0]
        and memory.shape[-2] >= needed
    ):
        return memory
    shape = (new.shape[0], new.shape[1], needed + HEADROOM, new.shape[-1])
    memory = torch.empty(shape, dtype=new.dtype, device=new.device)
    if length > 0:
        memory[:, :, :length] = current
    return memory
