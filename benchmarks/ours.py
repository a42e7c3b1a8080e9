"""This project's decoder in a contest: driven by hand, with its time taken apart."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.workloads import chunks
from inspect_lda.engines.base import Request
from inspect_lda.engines.rolling import RollingBatch
from inspect_lda.engines.rows import RowState
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.pair import Pair


@dataclass
class Clock:
    """CPU seconds of the parts of decoding.

    Attributes:
        forward: Inside the forward passes.
        draw: From the logits to drawn tokens, `record` included.
        record: Evidence of a token into its row.
    """

    forward: float = 0.0
    draw: float = 0.0
    record: float = 0.0

    @contextmanager
    def adding(self, part: str) -> Iterator[None]:
        """Add the time of the block to a part."""
        begun = time.process_time()
        yield
        setattr(self, part, getattr(self, part) + time.process_time() - begun)


class TimedRow(RowState):
    """A row as it is, with the time of its records added up."""

    clock: Clock

    def take(self, *args: Any, **kwargs: Any) -> None:
        """Time the record of one token."""
        with self.clock.adding("record"):
            super().take(*args, **kwargs)


class Timed(PairDecoder):
    """The decoder as it is, with the time of its parts added up in `clock`."""

    def __init__(self, pair: Pair) -> None:
        self.clock = Clock()
        super().__init__(pair)

    def forward(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Time the forward passes."""
        with self.clock.adding("forward"):
            return super().forward(*args, **kwargs)

    def draw(self, *args: Any, **kwargs: Any) -> list[int]:
        """Time the sampler."""
        with self.clock.adding("draw"):
            return super().draw(*args, **kwargs)

    def row(self, request: Request) -> RowState:
        """A row that takes its own time."""
        row = TimedRow(request, super().row(request).decoding)
        row.clock = self.clock
        return row


def rolling(decoder: PairDecoder, requests: Sequence[Request], slots: int) -> float:
    """CPU seconds for requests through a rolling batch, prefills included."""
    batch: RollingBatch[RowState] = RollingBatch(decoder, slots)
    waiting = [decoder.row(one) for one in requests]
    begun = time.process_time()
    while waiting or batch.rows:
        if count := batch.admissible(waiting):
            batch.admit(waiting[:count])
            waiting = waiting[count:]
            batch.drop_finished()
        if batch.rows:
            batch.step()
            batch.drop_finished()
    return time.process_time() - begun


def lockstep(decoder: PairDecoder, requests: Sequence[Request], slots: int) -> float:
    """CPU seconds of the same engine if all rows of a batch end with its longest."""
    seconds = 0.0
    for chunk in chunks(requests, slots):
        longest = max(one.max_tokens for one in chunk)
        padded = [
            Request(one.prompt, one.alpha, one.sampling, longest) for one in chunk
        ]
        seconds += rolling(decoder, padded, slots)
    return seconds
