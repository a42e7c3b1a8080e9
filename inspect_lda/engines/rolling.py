"""The rolling batch: rows join and leave between steps of any causal LM.

A finished row leaves at once and a waiting one takes its place, where a lockstep
batch computes 30-80 % of its row-steps for rows that are already finished. Rows with
equal prompts are prefilled once, and rows are admitted as far as memory allows. This
file knows nothing of amplification; it keeps a left-padded cache and its mask.
"""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import Cache

from inspect_lda.engines.admission import Admission, extents
from inspect_lda.engines.budget import UNLIMITED, Budget, Sized
from inspect_lda.engines.growing import GrowingLayer
from inspect_lda.engines.memory import is_out_of_memory
from inspect_lda.engines.prefill import Forward, Prefiller, States, layers_of


class Row(Sized, Protocol):
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
        budget: What caches may take: rows are admitted within it, and stored prefixes
            give way to them.
        max_prefill_tokens: Most padded prompt tokens in one prefill (at least one
            prompt is always admitted).
    """

    def __init__(
        self,
        decoder: Decoder[RowT],
        max_rows: int,
        *,
        budget: Budget = UNLIMITED,
        max_prefill_tokens: int = 4096,
    ) -> None:
        self._decoder = decoder
        self._max_rows = max_rows
        self.prefiller = Prefiller(decoder, max_prefill_tokens, 0)
        self.admission = Admission(budget, self.prefiller)
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
        free = waiting[: self._max_rows - len(self.rows)]
        count = self.admission.fitting(self.rows, extents(free))
        return self.prefiller.fits([row.prompt for row in free[:count]])

    def admit(self, rows: list[RowT]) -> list[RowT]:
        """Prefill new rows, draw their first tokens and merge them in.

        Returns:
            Rows for which memory ran out: to be started again, once others have left.

        Raises:
            EngineError: If memory ran out for one row alone.
        """
        self.admission.make_room(self.rows, extents(rows))
        columns = self._mask.shape[1]
        try:
            self._admit(rows)
            return []
        except Exception as error:
            self.admission.raise_unless_shared(error, extents([*self.rows, *rows]))
        # Only now: while it is handled, an error keeps all that its frames hold.
        self._restore(slice(-columns, None))
        self.admission.lower(self.rows, rows[: len(rows) // 2], len(rows))
        return rows

    def step(self) -> list[RowT]:
        """Decode one token for every row.

        Returns:
            Rows for which memory ran out, the newest ones: to be started again.

        Raises:
            EngineError: If memory ran out for one row alone.
        """
        assert self._cache is not None, "step() needs admitted rows"
        columns = self._mask.shape[1]
        drawing = False
        try:
            states = self._feed(self._cache)
            drawing = True
            self._next = self._decoder.draw(states, self.rows)
            return []
        except Exception as error:
            self.admission.raise_unless_shared(error, extents(self.rows))
        half = len(self.rows) // 2
        # A recurrent state, or a stream of uniforms, can not be taken a step back.
        kept = 0 if drawing or not self._decoder.rolls else half
        lost = self.rows[kept:]
        self.admission.lower(self.rows[:kept], self.rows[kept:half], len(lost))
        self._restore(slice(0, columns))
        return self._keep(list(range(kept))) + lost

    def drop_finished(self) -> list[RowT]:
        """Remove finished rows from the batch, and padding that no row needs.

        Returns:
            Rows for which memory ran out: to be started again.
        """
        keep = [index for index, row in enumerate(self.rows) if not row.done]
        if len(keep) < len(self.rows) and (self._decoder.rolls or not keep):
            return self._keep(keep)
        return []

    def _feed(self, cache: Cache) -> States:
        ids = torch.tensor(self._next, device=self._mask.device).unsqueeze(-1)
        self._mask = pad(self._mask, (0, 1), value=1)
        positions = self._mask.sum(-1, keepdim=True) - 1
        return self._decoder.forward(ids, self._mask, positions, cache)

    def _admit(self, rows: list[RowT]) -> None:
        prompts = [row.prompt for row in rows]
        rolls = self._decoder.rolls
        prefill = self.prefiller.shared if rolls else self.prefiller.together
        cache, mask, states = prefill(prompts)
        drawn = self._decoder.draw(states, rows)
        if self._cache is None:
            self._cache, self._mask = cache, mask
        else:
            self._merge(self._cache, cache, mask)
        self.rows, self._next = self.rows + rows, self._next + drawn

    def _keep(self, keep: list[int]) -> list[RowT]:
        """Drop all rows but some; all are lost where not even that finds memory."""
        rows = [self.rows[index] for index in keep]
        if self._cache is None or not keep:
            self.clear()
            return []
        try:
            self._shrink(self._cache, keep)
            self.rows = rows
            return []
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self.clear()
        self.admission.lower([], rows[: len(rows) // 2], len(rows))
        return rows

    def _shrink(self, cache: Cache, keep: list[int]) -> None:
        kept = torch.tensor(keep, device=self._mask.device)
        self._next = [self._next[index] for index in keep]
        self._mask = self._mask[kept]
        padding = int(self._mask.any(0).int().argmax())
        self._mask = self._mask[:, padding:]
        for layer in _by_memory(cache):
            layer.keep(kept, padding)

    def _merge(self, old: Cache, new: Cache, mask: Tensor) -> None:
        length = max(self._mask.shape[1], mask.shape[1])
        others = dict(zip(layers_of(old), layers_of(new), strict=True))
        for layer in _by_memory(old):
            layer.join(others[layer], length)
        self._mask = torch.cat(
            [pad(m, (length - m.shape[1], 0)) for m in (self._mask, mask)]
        )

    def _restore(self, columns: slice) -> None:
        """Undo what a merge or a step did to some of the layers before it failed."""
        if self._cache is None or not self._decoder.rolls:
            return
        self._mask = self._mask[: len(self.rows), columns]
        for layer in layers_of(self._cache):
            layer.cut(len(self.rows), columns)


def _by_memory(cache: Cache) -> list[GrowingLayer]:
    # Layers that are views of one memory come together: it is freed with the last.
    return sorted(layers_of(cache), key=lambda layer: id(layer.memory))
