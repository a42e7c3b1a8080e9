"""Equal lengths against the floor: what two checkpoints cost without any library.

The floor is two hand-written cached decode loops of the same batch, one a checkpoint,
`torch.multinomial` included. It is measured twice in every round, and the ratio of the
two is the noise below which no other ratio means anything.
"""

import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.cache_utils import DynamicCache

from benchmarks.contest import ratios
from benchmarks.ours import Clock, Timed
from benchmarks.workloads import TEMPERATURE, prompt, request
from inspect_lda.engines.halves import causal_lm
from inspect_lda.engines.rolling import RollingBatch
from inspect_lda.engines.rows import RowState
from inspect_lda.pair import Pair

WARM_UP = 2


class Loop:
    """One model alone, a batch of equal prompts, one cached step at a time."""

    @torch.inference_mode()
    def __init__(self, model: Any, ids: tuple[int, ...], rows: int) -> None:
        self._model = model
        self._cache = DynamicCache(config=model.config)
        logits = self._forward(torch.tensor([ids]))
        self._cache.batch_repeat_interleave(rows)
        self._logits = logits.expand(rows, -1)

    @torch.inference_mode()
    def step(self) -> float:
        """CPU seconds of one draw and one forward."""
        begun = time.process_time()
        token = torch.multinomial((self._logits / TEMPERATURE).softmax(-1), 1)
        self._logits = self._forward(token)
        return time.process_time() - begun

    def _forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._model(
            input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1
        ).logits
        return logits[:, -1]


@dataclass
class Equal:
    """One batch size, round by round.

    Attributes:
        floor: CPU seconds a step of the floor.
        again: The same of the floor measured a second time.
        ours: CPU seconds a step of the engine.
        parts: Of `ours`, in all rounds together.
    """

    floor: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    parts: Clock = field(default_factory=Clock)

    @property
    def faster(self) -> list[float]:
        """Floor / ours: 1 is as fast as two models alone."""
        floors = [(a + b) / 2 for a, b in zip(self.floor, self.again, strict=True)]
        return ratios(floors, self.ours)

    @property
    def noise(self) -> list[float]:
        """Floor / floor: 1 on a machine without noise."""
        return ratios(self.floor, self.again)

    def shares(self) -> tuple[float, float, float, float]:
        """Outside the forwards, and of that: draw, scheduling and merge, record.

        Shares of the engine's CPU time.
        """
        whole, parts = sum(self.ours), self.parts
        outside = whole - parts.forward
        shares = (
            outside,
            parts.draw - parts.record,
            outside - parts.draw,
            parts.record,
        )
        return tuple(part / whole for part in shares)  # type: ignore[return-value]

    def row(self, size: int) -> list[str]:
        """The line of the table."""
        milliseconds = 1000 * statistics.median(self.floor)
        return [
            str(size),
            f"{statistics.median(self.faster):.2f}",
            f"{min(self.faster):.2f} to {max(self.faster):.2f}",
            f"{statistics.median(self.noise):.2f}",
            f"{min(self.noise):.2f} to {max(self.noise):.2f}",
            f"{milliseconds:.0f}",
            *(f"{share:.1%}" for share in self.shares()),
        ]


COLUMNS = (
    "batch",
    "x floor",
    "range",
    "noise",
    "range",
    "floor ms",
    "outside forwards",
    "draw",
    "schedule, merge",
    "record",
)


def measure(pair: Pair, decoder: Timed, size: int, steps: int) -> Equal:
    """Steps of the floor, of the engine and of the floor again, in turns.

    Args:
        pair: Whose two models are the floor.
        decoder: The engine's decoder of that pair.
        size: Rows.
        steps: Rounds that count; two before them warm up.
    """
    ids = prompt(0, pair.vocabulary.size)
    models = [causal_lm(pair.after), causal_lm(pair.before)]
    floor, again = ([Loop(model, ids, size) for model in models] for _ in range(2))
    batch: RollingBatch[RowState] = RollingBatch(decoder, size)
    longest = steps + WARM_UP + 2
    batch.admit([decoder.row(request(ids, longest, seed=i)) for i in range(size)])
    result = Equal()
    for turn in range(WARM_UP + steps):
        if turn == WARM_UP:
            result = Equal()
        result.floor.append(sum(loop.step() for loop in floor))
        result.ours.append(_step(decoder, batch, result.parts))
        result.again.append(sum(loop.step() for loop in again))
    return result


def _step(decoder: Timed, batch: RollingBatch[RowState], parts: Clock) -> float:
    decoder.clock.forward = decoder.clock.draw = decoder.clock.record = 0.0
    begun = time.process_time()
    batch.step()
    batch.drop_finished()
    seconds = time.process_time() - begun
    for part, value in vars(decoder.clock).items():
        setattr(parts, part, getattr(parts, part) + value)
    return seconds
