"""The rolling batch: rows join and leave between steps of any causal LM.

A finished row leaves at once and a waiting one takes its place, where a lockstep
batch computes 30-80 % of its row-steps for rows that are already finished. This file
knows nothing of amplification; it keeps a left-padded cache and its mask.
"""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar, cast

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import Cache


class Row(Protocol):
    """One sequence in the batch."""

    @property
    def prompt(self) -> Sequence[int]:
        """Token ids to prefill."""
        ...

    @property
    def done(self) -> bool:
        """Whether the row needs no further token."""
        ...


RowT = TypeVar("RowT", bound=Row)


class Decoder(Protocol[RowT]):
    """Runs the model one step and draws a token a row."""

    @property
    def rolls(self) -> bool:
        """Whether rows may join and leave a running batch."""
        ...

    @property
    def device(self) -> torch.device:
        """Where input tensors go."""
        ...

    def new_cache(self) -> Cache:
        """An empty cache."""
        ...

    def step(
        self,
        ids: Tensor,
        mask: Tensor,
        positions: Tensor,
        cache: Cache,
        rows: list[RowT],
    ) -> list[int]:
        """Feed `ids` `[batch, n]` and return the drawn token of every row."""
        ...


class RollingBatch(Generic[RowT]):
    """Rows that are being decoded, their cache and their attention mask.

    Args:
        decoder: The model and its sampler.
        max_rows: Most rows at a time.
        max_prefill_tokens: Most padded prompt tokens in one prefill (at least one
            row is always admitted).
    """

    def __init__(
        self, decoder: Decoder[RowT], max_rows: int, max_prefill_tokens: int = 4096
    ) -> None:
        self._decoder = decoder
        self._max_rows = max_rows
        self._max_prefill = max_prefill_tokens
        self.clear()

    def clear(self) -> None:
        """Drop every row."""
        self.rows: list[RowT] = []
        self._cache: Cache | None = None
        self._mask = torch.zeros(0, 0, dtype=torch.long)
        self._next: list[int] = []

    def admissible(self, waiting: Sequence[RowT]) -> int:
        """How many of the waiting rows, in order, can be prefilled now."""
        if self.rows and not self._decoder.rolls:
            return 0
        free = self._max_rows - len(self.rows)
        longest = count = 0
        for row in waiting[:free]:
            longest = max(longest, len(row.prompt))
            if count and longest * (count + 1) > self._max_prefill:
                break
            count += 1
        return count

    def admit(self, rows: list[RowT]) -> None:
        """Prefill new rows, draw their first tokens and merge them in."""
        length = max(len(row.prompt) for row in rows)
        ids = torch.zeros(len(rows), length, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, length - len(row.prompt) :] = torch.tensor(row.prompt)
            mask[index, length - len(row.prompt) :] = 1
        ids, mask = ids.to(self._decoder.device), mask.to(self._decoder.device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        cache = self._decoder.new_cache()
        drawn = self._decoder.step(ids, mask, positions, cache, rows)
        if self._cache is None:
            self._cache, self._mask = cache, mask
        else:
            self._merge(cache, mask)
        self.rows = self.rows + rows
        self._next += drawn

    def step(self) -> None:
        """Decode one token for every row."""
        assert self._cache is not None, "step() needs admitted rows"
        ids = torch.tensor(self._next, device=self._mask.device).unsqueeze(-1)
        self._mask = pad(self._mask, (0, 1), value=1)
        positions = self._mask.sum(-1, keepdim=True) - 1
        self._next = self._decoder.step(
            ids, self._mask, positions, self._cache, self.rows
        )

    def drop_finished(self) -> None:
        """Remove finished rows from the batch, and padding that no row needs."""
        keep = [index for index, row in enumerate(self.rows) if not row.done]
        if len(keep) == len(self.rows):
            return
        if not keep:
            self.clear()
            return
        if not self._decoder.rolls:
            return
        assert self._cache is not None
        self.rows = [self.rows[index] for index in keep]
        self._next = [self._next[index] for index in keep]
        kept = torch.tensor(keep, device=self._mask.device)
        self._mask = self._mask[kept]
        padding = int(self._mask.any(0).int().argmax())
        self._mask = self._mask[:, padding:]
        for layer in _layers(self._cache):
            layer.keys = layer.keys[kept][:, :, padding:]
            layer.values = layer.values[kept][:, :, padding:]

    def _merge(self, cache: Cache, mask: Tensor) -> None:
        assert self._cache is not None
        length = max(self._mask.shape[1], mask.shape[1])
        for old, new in zip(_layers(self._cache), _layers(cache), strict=True):
            old.keys = torch.cat([_left_pad(t.keys, length) for t in (old, new)])
            old.values = torch.cat([_left_pad(t.values, length) for t in (old, new)])
        self._mask = torch.cat(
            [pad(m, (length - m.shape[1], 0)) for m in (self._mask, mask)]
        )


class _Layer(Protocol):
    keys: Tensor
    values: Tensor


def _layers(cache: Cache) -> list[_Layer]:
    # Rolling decoders make plain growing layers only, which hold `[B, H, n, D]`.
    return cast(list[_Layer], cache.layers)


def _left_pad(states: Tensor, length: int) -> Tensor:
    return pad(states, (0, 0, length - states.shape[-2], 0))
