"""One shape of decode steps: the static cache, the inputs, and how a batch gets in."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from inspect_lda.engines.static import Corner, Memory, RowsLayer, StaticLayer

KINDS = ("keys", "values")


class Block:
    """A composite's cache, and the inputs of a step, in one shape.

    Args:
        rows: Most rows.
        columns: Most columns.
        groups: Indices of the cache layers that one forward extends together.
        cache: A cache of the composite, for the devices of its layers.
        device: Where the inputs of a step lie.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        groups: Sequence[tuple[int, ...]],
        cache: Cache,
        device: torch.device,
    ) -> None:
        self.rows, self.columns = rows, columns
        self.is_compiled = False
        self._groups = groups
        self._column: dict[torch.device, Tensor] = {}
        layers: list[Any] = [None] * sum(map(len, groups))
        for group in groups:
            place = _states(cache, group[0], "keys").device
            if place not in self._column:
                self._column[place] = torch.zeros((), dtype=torch.long, device=place)
            layer = StaticLayer(self._column[place])
            for index in group:
                layers[index] = layer
        self.cache = Cache(layers=layers)
        self._ids = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self._positions = torch.zeros_like(self._ids)
        self._mask = torch.zeros(rows, columns, dtype=torch.bool, device=device)

    def vacate(self) -> None:
        """Let go of the memory, so that it can be replaced by a larger one."""
        for layer in cast(list[StaticLayer], self.cache.layers):
            layer.keys = layer.values = None

    def take(self, cache: Cache, mask: Tensor, memory: Memory) -> Corner:
        """Copy a batch into the block and let its layers lie there.

        Args:
            cache: Its cache, of `RowsLayer`s with n columns.
            mask: Its mask `[batch, n + 1]`, for the step that comes.
            memory: Where the block lies.
        """
        corner = Corner(mask.shape[0], mask.shape[1] - 1)
        for group in self._groups:
            static: Any = self.cache.layers[group[0]]
            for kind in KINDS:
                parts = [_states(cache, index, kind) for index in group]
                setattr(static, kind, self._filled((group[0], kind), parts, memory))
            for place, index in enumerate(group):
                here = slice(place * self.rows, (place + 1) * self.rows)
                layer = cast(RowsLayer, cache.layers[index])
                layer.lie_in(static.keys[here], static.values[here], corner)
        self._mask.zero_()
        self._mask[: corner.rows, : corner.columns + 1] = mask.bool()
        return corner

    def inputs(self, ids: Tensor, positions: Tensor, column: int) -> dict[str, Tensor]:
        """The inputs of the step that writes a column, `[rows, …]` each."""
        rows = ids.shape[0]
        self._ids[:rows] = ids
        self._positions[:rows] = positions
        # Rows that nobody asked for see themselves: seeing nothing is NaN.
        self._mask[:, column] = True
        for tensor in self._column.values():
            tensor.fill_(column)
        return {
            "input_ids": self._ids,
            "attention_mask": self._mask,
            "position_ids": self._positions,
        }

    def _filled(
        self, key: tuple[int, str], parts: list[Tensor], memory: Memory
    ) -> Tensor:
        batch, heads, columns, size = parts[0].shape
        shape = (len(parts) * self.rows, heads, self.columns, size)
        block = memory.block(key, shape, parts[0])
        if any(_same_memory(part, block) for part in parts):
            parts = [part.clone() for part in parts]
        for place, part in enumerate(parts):
            rows = block[place * self.rows : (place + 1) * self.rows]
            rows[:batch, :, :columns] = part
            # What is left of others could be NaN, which a mask does not hide.
            rows[:batch, :, columns:] = 0
            rows[batch:] = 0
        return block


def _states(cache: Cache, index: int, kind: str) -> Tensor:
    return cast(Tensor, getattr(cache.layers[index], kind))


def _same_memory(one: Tensor, other: Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
