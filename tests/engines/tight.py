"""Little memory: budgets for so many rows, and a device that is really full."""

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from inspect_lda.engines.base import Request, Scored, ScoreRequest
from inspect_lda.engines.budget import Budget, Extent, measure
from inspect_lda.engines.rows import RowState
from inspect_lda.engines.scheduler import Scheduler
from inspect_lda.engines.transformers import PairDecoder

SECONDS = 60
PLENTY = 1 << 40

Served = Scheduler[Request, RowState, ScoreRequest, Scored, PairDecoder]


@contextmanager
def serving(
    start: Callable[[], PairDecoder],
    budget: Callable[[PairDecoder], Budget] | None = None,
    most: int = 8,
) -> Iterator[Served]:
    """A scheduler with a budget; without one, with more than anything needs."""
    allow = budget or (lambda decoder: Budget(PLENTY, measure(decoder)))
    scheduler: Served = Scheduler(start, most, "tight", allow)
    try:
        yield scheduler
    finally:
        scheduler.close()


def room_for(rows: int, requests: Sequence[Request]) -> Callable[[Any], Budget]:
    """A budget for exactly so many of the longest of these requests."""

    def budget(decoder: PairDecoder) -> Budget:
        longest = Extent(
            max(len(one.prompt) for one in requests),
            max(len(one.prompt) + one.max_tokens for one in requests),
        )
        footprint = measure(decoder)
        total = Budget(0, footprint).needed([], [longest] * rows)
        return Budget(total, footprint)

    return budget


def texts(scheduler: Served, requests: Sequence[Request]) -> list[tuple[int, ...]]:
    """The tokens of every request, all asked at once."""
    asked = threading.Event()
    scheduler.call(lambda _: asked.wait(SECONDS))
    futures = [scheduler.submit(one) for one in requests]
    asked.set()
    return [future.result(SECONDS).completion().tokens for future in futures]


class FullDevice(TorchFunctionMode):
    """Follows every tensor of its thread, and refuses what exceeds its capacity.

    Attributes:
        peak: Most bytes that were held at a time.
        refusals: How often memory ran out.
    """

    def __init__(self, capacity: int = PLENTY) -> None:
        super().__init__()
        self._held: dict[int, int] = {}
        self._capacity = capacity
        self.peak = 0
        self.refusals = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, tuple | list) else (result,):
            if isinstance(one, torch.Tensor):
                self._follow(one.untyped_storage())
        return result

    @property
    def held(self) -> int:
        """Bytes held now."""
        return sum(self._held.values())

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._held:
            return
        self._held[key] = storage.nbytes()
        weakref.finalize(storage, self._held.pop, key, None)
        if self.held > self._capacity:
            self.refusals += 1
            raise torch.OutOfMemoryError("out of memory. Tried to allocate too much")
        self.peak = max(self.peak, self.held)


@contextmanager
def held_by(device: FullDevice, scheduler: Served) -> Iterator[None]:
    """Hold what a scheduler allocates on a device; a mode belongs to its thread."""
    # Loading is not what is followed.
    scheduler.call(lambda _: None).result(SECONDS)
    scheduler.call(lambda _: device.__enter__()).result(SECONDS)  # type: ignore[no-untyped-call]
    yield
    scheduler.call(
        lambda _: device.__exit__(None, None, None)  # type: ignore[no-untyped-call]
    ).result(SECONDS)
