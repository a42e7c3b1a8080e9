"""What a batch may take of a device's memory, and what its rows cost.

A batch is one left-padded tensor a layer: every row costs as many columns as the
longest. A row is admitted only if all rows together still fit when each has become as
long as it can, because a cache cannot be shrunk in the middle of a text. Most rows end
earlier, so this reserves too much: the price of never running out on purpose.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from inspect_lda.engines.base import EngineError
from inspect_lda.engines.growing import HEADROOM
from inspect_lda.engines.memory import free_memory, readable
from inspect_lda.engines.prefill import Forward

logger = logging.getLogger(__name__)

REBUILT_LAYERS = 4
"""Layers that exist twice for a moment where rows join or leave, one layer at a time
(a doubled layer counts as two, and is held once as halves and once joined)."""

STORE_SHARE = 4
"""The prefix store takes what rows leave of a budget, at most 1 / STORE_SHARE of it."""


class Extent(NamedTuple):
    """How many tokens a sequence starts with, and how many it can come to hold."""

    prompt: int
    final: int


class Sized(Protocol):
    """What needs room in a cache."""

    @property
    def extent(self) -> Extent:
        """Its length now and at most."""
        ...


@dataclass(frozen=True)
class Footprint:
    """What one row of a batch costs, measured from a real cache.

    Attributes:
        per_token: Bytes of one column of a row, over all layers.
        per_row: Bytes of a row whatever its length (recurrent states).
        largest: Bytes of one column of a row in the largest layer.
        shares: Which share of the columns each device holds.
    """

    per_token: int
    per_row: int = 0
    largest: int = 0
    shares: dict[torch.device, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """Bytes that caches may take: those of running rows, and of stored prefixes.

    Attributes:
        total: The bytes.
        footprint: What rows cost.
        source: What `total` is, for people.
    """

    total: int
    footprint: Footprint
    source: str = "what was set"

    def needed(self, running: Sequence[Extent], entering: Sequence[Extent] = ()) -> int:
        """Most bytes that rows can come to take, entering ones included."""
        return self._bytes(
            len(running),
            len(entering),
            max((one.final for one in (*running, *entering)), default=0),
            max((one.prompt for one in entering), default=0),
        )

    def fitting(
        self, running: Sequence[Extent], waiting: Sequence[Extent], limit: int
    ) -> int:
        """How many of the waiting, in order, fit beside the running within a limit."""
        final = max((one.final for one in running), default=0)
        prompt = 0
        for count, one in enumerate(waiting):
            final, prompt = max(final, one.final), max(prompt, one.prompt)
            if self._bytes(len(running), count + 1, final, prompt) > limit:
                return count
        return len(waiting)

    def check(self, one: Extent) -> None:
        """Refuse what can not even run alone.

        Raises:
            EngineError: If it needs more than the budget; the message says how much.
        """
        needed = self.needed([], [one])
        if needed > self.total:
            raise EngineError(
                f"a prompt of {one.prompt} tokens and up to {one.final - one.prompt} "
                f"more need {readable(needed)} of cache, and caches may take "
                f"{readable(self.total)} ({self.source}). Raise -M memory_fraction=, "
                "lower max_tokens, load the weights in a smaller -M dtype= or use "
                "another -M device="
            )

    def _bytes(self, running: int, entering: int, final: int, prompt: int) -> int:
        size, rows = self.footprint, running + entering
        moving = min(size.per_token, REBUILT_LAYERS * size.largest)
        columns = rows * (final + HEADROOM) * (size.per_token + moving)
        # Prompts exist twice while they are prefilled: as a batch and one by one; and
        # a prefix that they share once more.
        fresh = (entering + 1) * (prompt + HEADROOM) * size.per_token if entering else 0
        return columns + fresh + rows * size.per_row


UNLIMITED = Budget(1 << 62, Footprint(0))
"""Admits by count alone."""


def cache_budget(model: Forward, fraction: float) -> Budget:
    """A share of the memory that is free now, once the weights are loaded.

    Args:
        model: The loaded pair.
        fraction: The share, above 0 and at most 1.
    """
    footprint = measure(model)
    rooms = []
    for device, share in (footprint.shares or {model.device: 1.0}).items():
        free = free_memory(device)
        source = f"{fraction:g} of the {readable(free)} free on {device} after loading"
        rooms.append((int(fraction * free / share), source))
    total, source = min(rooms)
    logger.info(
        "caches may take %s: %s; a token takes %s",
        readable(total),
        source,
        readable(footprint.per_token),
    )
    return Budget(total, footprint, source)


def measure(model: Forward) -> Footprint:
    """Measure what a row costs, from the cache that two tokens leave behind."""
    cache = model.new_cache()
    held: list[list[Counter[torch.device]]] = []
    for length in (1, 2):
        model.forward(
            torch.zeros(1, 1, dtype=torch.long, device=model.device),
            torch.ones(1, length, dtype=torch.long, device=model.device),
            torch.full((1, 1), length - 1, device=model.device),
            cache,
        )
        held.append([_held(layer) for layer in cache.layers])
    first, second = held
    grown = [later - sooner for sooner, later in zip(first, second, strict=True)]
    per_token = sum(grown, Counter[torch.device]())
    total = per_token.total()
    return Footprint(
        per_token=total,
        per_row=sum(layer.total() for layer in second) - 2 * total,
        largest=max((layer.total() for layer in grown), default=0),
        shares={device: count / total for device, count in per_token.items()},
    )


def _held(layer: Any) -> Counter[torch.device]:
    # Whatever kind of layer it is: keys and values, or dicts of recurrent states.
    held: Counter[torch.device] = Counter()
    for value in vars(layer).values():
        for tensor in value.values() if isinstance(value, dict) else [value]:
            if isinstance(tensor, Tensor):
                held[tensor.device] += tensor.numel() * tensor.element_size()
    return held
