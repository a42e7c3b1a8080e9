"""A cache of doubled rows over the two that a rolling batch keeps."""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from inspect_lda.engines.growing import HEADROOM, GrowingLayer, Memory
from inspect_lda.engines.static import RowsLayer, StaticLayer

KINDS = (DynamicLayer, GrowingLayer, RowsLayer, StaticLayer)
"""Layers of which two can be held as one of doubled rows."""


class PairedLayer(DynamicLayer):
    """One cache layer of 2B rows over the two layers that a rolling batch keeps.

    The batch sees `after`'s and `before`'s layers, B rows each, and may replace their
    tensors when rows leave or join; then they are joined again at the next update. The
    memory belongs to those two layers, so that replacing both lets go of it.
    """

    def __init__(self, after: DynamicLayer, before: DynamicLayer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._halves: tuple[Any, Any] = (after, before)

    def get_seq_length(self) -> int:
        """Columns held."""
        return int(self._halves[0].get_seq_length())

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append states `[2B, heads, n, d]`; return all of them."""
        length = self.get_seq_length()
        total = length + key_states.shape[-2]
        memory = self._reserve(length, total, key_states, value_states)
        keys, values = memory
        keys[:, :, length:total] = key_states
        values[:, :, length:total] = value_states
        rows = key_states.shape[0] // 2
        for half, part in zip(
            self._halves, (slice(0, rows), slice(rows, None)), strict=True
        ):
            half.keys, half.values = keys[part, :, :total], values[part, :, :total]
            half.memory = memory
            half.is_initialized = True
        return keys[:, :, :total], values[:, :, :total]

    def _reserve(
        self, length: int, total: int, key_states: Tensor, value_states: Tensor
    ) -> Memory:
        ours, theirs = (getattr(half, "memory", None) for half in self._halves)
        memory: Memory | None = ours if ours is theirs else None
        if (
            memory is not None
            and memory[0].shape[-2] >= total
            and memory[0].shape[0] == key_states.shape[0]
            and length > 0
            and self._halves[0].keys.data_ptr() == memory[0].data_ptr()
        ):
            return memory
        made = []
        for name, new in (("keys", key_states), ("values", value_states)):
            shape = (*new.shape[:2], total + HEADROOM, new.shape[-1])
            room = torch.empty(shape, dtype=new.dtype, device=new.device)
            if length > 0:
                room[:, :, :length] = torch.cat(
                    [getattr(half, name) for half in self._halves]
                )
            made.append(room)
        return made[0], made[1]


def pairs(cache: Cache | None) -> bool:
    """Whether two halves of a cache can be held as one of doubled rows.

    A window kept as a ring (what `generate` makes for some models) can not.
    """
    layers: list[Any] = [] if cache is None else cache.layers
    return all(type(layer) in KINDS for layer in layers)


def paired(after: Cache, before: Cache) -> Cache:
    """One cache of 2B rows over two of B rows."""
    # Kept with the view, which lives as long as the layers it shows.
    paired: Cache | None = getattr(after, "_lda_paired", None)
    if paired is None:
        halves: Any = zip(after.layers, before.layers, strict=True)
        # A static layer stands in both places and holds the rows of both.
        layers: list[Any] = [
            ours if ours is theirs else PairedLayer(ours, theirs)
            for ours, theirs in halves
        ]
        paired = Cache(layers=layers)
        setattr(after, "_lda_paired", paired)  # noqa: B010
    return paired
