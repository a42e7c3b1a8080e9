"""A cache layer that grows without copying itself at every token."""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

HEADROOM = 32
"""Columns reserved ahead; at the end of them the layer is copied once."""

Memory = tuple[Tensor, Tensor]


class GrowingLayer(DynamicLayer):
    """A `DynamicLayer` that writes new states into reserved memory.

    `DynamicLayer` concatenates, which copies the whole layer for every token: at 64
    rows of 60 tokens that is a fifth of a step on a CPU. `keys` and `values` are views
    of the reserved memory; assigning other tensors to them is noticed at the next
    update. The methods that change rows let go of the old memory at once, so that a
    batch that is rebuilt layer by layer is never held twice.

    Attributes:
        memory: What keys and values are views of; None before the first update, and
            once they are tensors of their own.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.memory: Memory | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append states `[batch, heads, n, d]`; return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        length = self.get_seq_length()
        memory = self.memory or (None, None)
        keys = _reserve(memory[0], self.keys, length, key_states)
        values = _reserve(memory[1], self.values, length, value_states)
        total = length + key_states.shape[-2]
        keys[:, :, length:total] = key_states
        values[:, :, length:total] = value_states
        # Assigned together, at the end: without memory for both, nothing has changed.
        self.memory = (keys, values)
        self.keys, self.values = keys[:, :, :total], values[:, :, :total]
        return self.keys, self.values

    def join(self, other: "GrowingLayer", columns: int) -> None:
        """Take in the rows of another layer, both left-padded to so many columns."""
        ours, theirs = self.states(), other.states()
        self._hold(*(_joined(a, b, columns) for a, b in zip(ours, theirs, strict=True)))

    def keep(self, rows: Tensor, padding: int) -> None:
        """Keep these rows only, and drop so many columns in front."""
        keys, values = self.states()
        rows = rows.to(keys.device)  # layers may lie on several devices
        self._hold(keys[rows, :, padding:], values[rows, :, padding:])

    def cut(self, rows: int, columns: slice) -> None:
        """Keep the first rows and some columns, without copying them."""
        self.keys, self.values = (part[:rows, :, columns] for part in self.states())

    def states(self) -> Memory:
        return torch.as_tensor(self.keys), torch.as_tensor(self.values)

    def _hold(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values, self.memory = keys, values, None


def _joined(ours: Tensor, theirs: Tensor, columns: int) -> Tensor:
    rows = len(ours) + len(theirs)
    # Zeros: a masked column of anything else could be NaN, and 0 * NaN is NaN.
    joined = ours.new_zeros(rows, ours.shape[1], columns, ours.shape[-1])
    joined[: len(ours), :, columns - ours.shape[-2] :] = ours
    joined[len(ours) :, :, columns - theirs.shape[-2] :] = theirs
    return joined


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
