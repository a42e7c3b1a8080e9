"""A cache in memory of one shape, for decode steps that are compiled.

Compiled code, and a CUDA graph even more, wants tensors of one shape in one place. A
rolling batch has another number of rows and columns all the time. So its rows are
copied into the corner of a larger block; a step writes its states at a column that is
a tensor, and the mask hides the rest.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.cache_utils import CacheLayerMixin

from inspect_lda.engines.growing import GrowingLayer


@dataclass
class Corner:
    """The part of a block where a batch lies, the same in every layer.

    Attributes:
        rows: Rows of the batch.
        columns: Columns it has so far.
    """

    rows: int
    columns: int


class RowsLayer(GrowingLayer):
    """A layer of a rolling batch, whose rows may lie in a block.

    Then `keys` and `values` are the corner of it where they lie. Appending states, or
    assigning other tensors (rows that left or joined), takes the layer out of the
    block; the next step in the block finds that and copies it in.
    """

    corner: Corner | None = None
    _keys: Tensor | None
    _values: Tensor | None

    def lie_in(self, keys: Tensor, values: Tensor, corner: Corner) -> None:
        """Show a corner of keys and values `[rows, heads, columns, d]`."""
        self._keys, self._values, self.corner = keys, values, corner
        self.memory = None

    def move_out(self) -> None:
        """Copy the rows out of the block, if they lie in one."""
        if self.corner is not None:
            self.keys, self.values = _copy(self.keys), _copy(self.values)

    @property
    def keys(self) -> Tensor | None:
        """Keys `[batch, heads, n, d]`."""
        return self._shown(self._keys)

    @keys.setter
    def keys(self, keys: Tensor | None) -> None:
        self._leave()
        self._keys = keys

    @property
    def values(self) -> Tensor | None:
        """Values `[batch, heads, n, d]`."""
        return self._shown(self._values)

    @values.setter
    def values(self, values: Tensor | None) -> None:
        self._leave()
        self._values = values

    def _shown(self, states: Tensor | None) -> Tensor | None:
        if self.corner is None or states is None:
            return states
        return states[: self.corner.rows, :, : self.corner.columns]

    def _leave(self) -> None:
        if self.corner is not None:
            self._keys, self._values, self.corner = self.keys, self.values, None


def _copy(states: Tensor | None) -> Tensor | None:
    return None if states is None else states.clone()


class StaticLayer(nn.Module, CacheLayerMixin):
    """A cache layer over a block, with states written at a column that is a tensor.

    A module, because what torch.compile takes to stay where it is are the buffers of
    modules. Any other tensor would be copied into a CUDA graph's own memory at every
    step, and a whole cache is no small one.

    Args:
        column: Where the next states are written, `[]`.
    """

    is_compileable = True
    is_sliding = False
    is_initialized = True

    def __init__(self, column: Tensor) -> None:
        nn.Module.__init__(self)
        self.column: Tensor
        self.register_buffer("column", column)
        self.register_buffer("keys", None)
        self.register_buffer("values", None)

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: the memory is given, not made."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write states `[rows, heads, 1, d]`; return the whole block."""
        keys, values = cast(Tensor, self.keys), cast(Tensor, self.values)
        keys.index_copy_(2, self.column.view(1), key_states)
        values.index_copy_(2, self.column.view(1), value_states)
        return keys, values

    def get_seq_length(self) -> Tensor:  # type: ignore[override]
        """Columns before the one that is written, `[]`."""
        return self.column

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Columns of the block, and where they begin."""
        return cast(Tensor, self.keys).shape[-2], 0

    def get_max_length(self) -> int:
        """Columns of the block."""
        return self.get_mask_sizes(1)[0]


class Memory:
    """Flat memory for every tensor of a cache: all its blocks lie in the same.

    Only one block is in use at a time, and a tensor that stays where it was keeps the
    CUDA graphs that were made with it.
    """

    def __init__(self) -> None:
        self._flat: dict[tuple[int, str], Tensor] = {}

    def grows(self, key: tuple[int, str], shape: Sequence[int]) -> bool:
        """Whether a block of this shape needs more than there is."""
        return key not in self._flat or self._flat[key].numel() < math.prod(shape)

    def block(self, key: tuple[int, str], shape: Sequence[int], like: Tensor) -> Tensor:
        """A block of this shape; zeros where it is new."""
        if self.grows(key, shape):
            # Zeros, because what a mask hides is multiplied by zero, and NaN stays NaN.
            self._flat[key] = torch.zeros(
                math.prod(shape), dtype=like.dtype, device=like.device
            )
        return self._flat[key][: math.prod(shape)].view(*shape)
