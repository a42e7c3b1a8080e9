"""The rolling batch: rows join and leave between steps of any causal LM.

A finished row leaves at once and a waiting one takes its place, where a lockstep
batch computes 30-80 % of its row-steps for rows that are already finished. Rows with
equal prompts are prefilled once. This file knows nothing of amplification; it keeps a
left-padded cache and its mask.
"""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import Cache

from inspect_lda.engines.prefill import Forward, Prefiller, States, layers_of
from inspect_lda.engines.prefix import left_pad


class Row(Protocol):
    """One sequence in the batch."""

    @property
    def prompt(self) -> tuple[int, ...]:
        """Token ids to prefill."""
        ...

    @property
    def done(self) -> bool:
        """Whether the row needs no further token."""
        ...


RowT = TypeVar("RowT", bound=Row)


class Decoder(Forward, Protocol[RowT]):
    """Runs the model, and draws a token a row from what it returns."""

    def draw(self, states: States, rows: list[RowT]) -> list[int]:
        """Draw and record one token a row from states `[batch, ...]`."""
        ...


class RollingBatch(Generic[RowT]):
    """Rows that are being decoded, their cache and their attention mask.

    Args:
        decoder: The model and its sampler.
        max_rows: Most rows at a time.
        max_prefill_tokens: Most padded prompt tokens in one prefill (at least one
            prompt is always admitted).
        prefix_bytes: Budget of the prefix store; 0 prefills every row.
    """

    def __init__(
        self,
        decoder: Decoder[RowT],
        max_rows: int,
        *,
        max_prefill_tokens: int = 4096,
        prefix_bytes: int = 1 << 30,
    ) -> None:
        self._decoder = decoder
        self._max_rows = max_rows
        self.prefiller = Prefiller(decoder, max_prefill_tokens, prefix_bytes)
        self.clear()

    def clear(self) -> None:
        """Drop every row; prefixes stay."""
        self.rows: list[RowT] = []
        self._cache: Cache | None = None
        self._mask = torch.zeros(0, 0, dtype=torch.long)
        self._next: list[int] = []

    def admissible(self, waiting: Sequence[RowT]) -> int:
        """How many of the waiting rows, in order, can be admitted now."""
        if self.rows and not self._decoder.rolls:
            return 0
        free = self._max_rows - len(self.rows)
        return self.prefiller.fits([row.prompt for row in waiting[:free]])

    def admit(self, rows: list[RowT]) -> None:
        """Prefill new rows, draw their first tokens and merge them in."""
        prompts = [row.prompt for row in rows]
        if self._decoder.rolls:
            cache, mask, states = self.prefiller.shared(prompts)
        else:
            cache, mask, states = self.prefiller.together(prompts)
        self._next += self._decoder.draw(states, rows)
        self.rows = self.rows + rows
        if self._cache is None:
            self._cache, self._mask = cache, mask
        else:
            self._merge(cache, mask)

    def step(self) -> None:
        """Decode one token for every row."""
        assert self._cache is not None, "step() needs admitted rows"
        ids = torch.tensor(self._next, device=self._mask.device).unsqueeze(-1)
        self._mask = pad(self._mask, (0, 1), value=1)
        positions = self._mask.sum(-1, keepdim=True) - 1
        states = self._decoder.forward(ids, self._mask, positions, self._cache)
        self._next = self._decoder.draw(states, self.rows)

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
        for layer in layers_of(self._cache):
            rows = kept.to(layer.keys.device)  # layers may lie on several devices
            layer.keys = layer.keys[rows, :, padding:]
            layer.values = layer.values[rows, :, padding:]

    def _merge(self, cache: Cache, mask: Tensor) -> None:
        assert self._cache is not None
        length = max(self._mask.shape[1], mask.shape[1])
        for old, new in zip(layers_of(self._cache), layers_of(cache), strict=True):
            old.keys = torch.cat([left_pad(t.keys, length) for t in (old, new)])
            old.values = torch.cat([left_pad(t.values, length) for t in (old, new)])
        self._mask = torch.cat(
            [pad(m, (length - m.shape[1], 0)) for m in (self._mask, mask)]
        )
