"""Decode steps that are compiled, in few shapes.

A step over one token a row is short work behind many small kernels: on a GPU most of
its time can be the host that starts them. Compiled, and replayed as CUDA graphs, they
start at once. Every shape is compiled anew, so batches are padded to few of them.
Prefills run as ever.
"""

import logging
import time
import weakref
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from torch import Tensor
from transformers.cache_utils import Cache

from inspect_lda.checkpoints.explain import is_out_of_memory
from inspect_lda.engines.block import Block
from inspect_lda.engines.choose import TOLERANCE
from inspect_lda.engines.compiled import (
    INDUCTOR,
    Backend,
    CompiledParts,
    is_compiler_error,
)
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.doubled import joint_layers
from inspect_lda.engines.static import Corner, Memory, RowsLayer

logger = logging.getLogger(__name__)

COLUMNS = 256
"""Columns of the smallest shape; the others double it."""
SPARE = 4
"""A compiled shape with up to this many times the cells is used as it is: padding costs
less than another compilation."""
PATIENCE = 16
"""Steps in a shape before it is compiled: many shapes last for a few steps only."""

Logits = tuple[Tensor, Tensor]


class CompiledSteps:
    """Decode steps of a composite; steps that can not be compiled run as ever.

    One cache at a time lies in static memory: that of the rolling batch.

    Args:
        model: The composite.
        max_rows: Most rows of a batch.
        max_columns: Most columns that a row needs (the context length).
        backend: What torch.compile hands the code to.
    """

    def __init__(
        self,
        model: AmplifiedLM,
        max_rows: int,
        max_columns: int,
        backend: Backend = INDUCTOR,
    ) -> None:
        self._model = model
        self._most = (max_rows, -(-max_columns // COLUMNS) * COLUMNS)
        self._parts = CompiledParts(model.device, backend)
        self._memory = Memory()
        self._blocks: dict[tuple[int, int], Block] = {}
        self._steps: Counter[tuple[int, int]] = Counter()
        self._block: Block | None = None
        self._corner: Corner | None = None
        self._seen: Callable[[], Cache | None] = lambda: None
        self._owner: Callable[[], Cache | None] = lambda: None
        self._off = False
        if (reason := _obstacle(model)) is not None:
            self._give_up(reason)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Rows and columns of every shape that was compiled, in order."""
        return [shape for shape, block in self._blocks.items() if block.is_compiled]

    def new_cache(self) -> Cache:
        """An empty cache, whose rows can be decoded here."""
        if self._off:
            return self._model.new_cache()
        layers: list[Any] = [
            RowsLayer() for _ in range(self._model.config.num_hidden_layers)
        ]
        return Cache(layers=layers)

    def __call__(
        self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache
    ) -> Logits | None:
        """Logits `[batch, 1, V]` of both checkpoints; None if this is no step to take.

        Args:
            ids: `[batch, 1]`.
            mask: `[batch, n + 1]`.
            positions: `[batch, 1]`.
            cache: n columns, made by `new_cache`.
        """
        if self._off or ids.shape[1] != 1 or not self._is_batch(cache):
            return None
        if (block := self._enter(cache, mask)) is None:
            return None
        inputs: dict[str, Any] = block.inputs(ids, positions, mask.shape[1] - 1)
        inputs |= {"use_cache": True, "logits_to_keep": 1}
        step = partial(self._model.halves, block.cache, **inputs)
        first = not block.is_compiled
        try:
            logits = self._first(block, step) if first else self._compiled(block, step)
        except Exception as error:
            if not (first or is_compiler_error(error)) or is_out_of_memory(error):
                raise
            self._give_up(f"{type(error).__name__}: {_short(error)}")
            return None
        assert self._corner is not None
        self._corner.columns = mask.shape[1]
        rows = ids.shape[0]
        return logits[0][:rows], logits[1][:rows]

    def _is_batch(self, cache: Cache) -> bool:
        """Whether this is the cache of the rolling batch, as opposed to a prefill's.

        A prefill of one id looks like a step, but nobody takes another one with it.
        """
        layer = cache.layers[0]
        if not isinstance(layer, RowsLayer) or layer.get_seq_length() == 0:
            return False
        seen = self._seen() is cache
        self._seen = weakref.ref(cache)
        return seen or self._owner() is cache

    def _enter(self, cache: Cache, mask: Tensor) -> Block | None:
        """The block that the cache lies in from now on, if there is one for it."""
        rows, columns = mask.shape
        corner, block = self._corner, self._block
        if (
            block is not None
            and corner is not None
            and (corner.rows, corner.columns) == (rows, columns - 1)
            and columns <= block.columns
            and all(getattr(layer, "corner", None) is corner for layer in cache.layers)
        ):
            return block
        shape = self._shape(rows, columns)
        if shape not in self._blocks:
            self._steps[shape] += 1
            if self._steps[shape] <= PATIENCE:
                return None
            groups = joint_layers(self._model)
            self._blocks[shape] = Block(*shape, groups, cache, self._model.device)
        self._make_room(cache)
        self._block = self._blocks[shape]
        self._corner = self._block.take(cache, mask, self._memory)
        self._owner = weakref.ref(cache)
        return self._block

    def _make_room(self, cache: Cache) -> None:
        owner = self._owner()
        if owner is not None and owner is not cache:
            for layer in cast(list[RowsLayer], owner.layers):
                layer.move_out()
        for block in self._blocks.values():
            block.vacate()

    def _shape(self, rows: int, columns: int) -> tuple[int, int]:
        """The compiled shape to use, or the next one to compile."""
        exact = (
            max(rows, min(_doubling(1, rows), self._most[0])),
            max(columns, min(_doubling(COLUMNS, columns), self._most[1])),
        )
        fitting = [
            (r * c, (r, c))
            for r, c in self._blocks
            if r >= rows and c >= columns and r * c <= SPARE * exact[0] * exact[1]
        ]
        return exact if exact in self._blocks else min(fitting, default=(0, exact))[1]

    def _first(self, block: Block, step: Callable[..., Logits]) -> Logits:
        """Run a step as it is and compiled; they must agree."""
        start = time.perf_counter()
        logger.info(
            "compiling the decode step for %d rows x %d columns",
            block.rows,
            block.columns,
        )
        expected, found = step(), self._compiled(block, step)
        logger.info("compiled in %.1f s", time.perf_counter() - start)
        for plain, compiled in zip(expected, found, strict=True):
            error = float((plain.float() - compiled.float()).abs().nan_to_num().max())
            scale = float(plain.abs().nan_to_num().max())
            if error > TOLERANCE.get(self._model.dtype, 0.0) * scale:
                raise ArithmeticError(
                    f"compiled logits are off by {error:.2g}, where the largest is "
                    f"{scale:.2g}"
                )
        block.is_compiled = True
        return expected

    def _compiled(self, block: Block, step: Callable[..., Logits]) -> Logits:
        return step(run=self._parts.begin(block))

    def _give_up(self, reason: str) -> None:
        logger.warning("decode steps are not compiled: %s", reason)
        self._off = True
        self._parts.clear()
        self._blocks = {}
        self._block = self._corner = None
        self._memory = Memory()


def _obstacle(model: AmplifiedLM) -> str | None:
    if not model.rolls:
        return "the model has layers with a recurrent state"
    for half in (model.after, model.before):
        places = set(map(str, getattr(half, "hf_device_map", {}).values()))
        if len(places) > 1:
            return f"its layers lie in several places ({', '.join(sorted(places))})"
    return None


def _doubling(start: int, least: int) -> int:
    while start < least:
        start *= 2
    return start


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
