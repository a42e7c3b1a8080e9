"""Rolling batches driven by hand, and a backend that counts compilations."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.budget import UNLIMITED, Budget
from inspect_lda.engines.rolling import RollingBatch
from inspect_lda.engines.rows import RowState
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.pair import Pair
from tests.engines.requests import NO_EOS


class Counting:
    """Runs traced code as it is, and keeps what it was given."""

    def __init__(self) -> None:
        self.graphs: list[torch.fx.GraphModule] = []

    def __call__(self, graph: torch.fx.GraphModule, inputs: Any) -> Any:
        self.graphs.append(graph)
        return graph.forward


def requests(lengths: Sequence[tuple[int, int]]) -> list[Request]:
    """Greedy and sampled requests of (prompt, reply) lengths at several alphas."""
    generator = torch.Generator().manual_seed(0)
    return [
        Request(
            tuple(torch.randint(4, 97, (prompt,), generator=generator).tolist()),
            (1.0, 0.0, -1.0, 0.5, 3.0)[index % 5],
            Sampling(temperature=index % 2, seed=index, logit_bias=NO_EOS),
            max_tokens=reply,
        )
        for index, (prompt, reply) in enumerate(lengths)
    ]


def drive(
    decoder: PairDecoder,
    asked: Sequence[Request],
    slots: int,
    joining: int = 1,
    budget: Budget = UNLIMITED,
) -> list[RowState]:
    """Run requests: `slots` of them at first, then as many a step as may join."""
    batch: RollingBatch[RowState] = RollingBatch(decoder, slots, budget=budget)
    rows = [decoder.row(one) for one in asked]
    waiting = list(rows)
    while waiting or batch.rows:
        count = batch.admissible(waiting)
        count = min(count, joining if batch.rows else slots)
        if count:
            batch.admit(waiting[:count])
            waiting = waiting[count:]
            batch.drop_finished()
        if batch.rows:
            batch.step()
            batch.drop_finished()
    return rows


def tokens(rows: Sequence[RowState]) -> list[list[int]]:
    return [row.tokens for row in rows]


def compiling(pair: Pair) -> Pair:
    """The same loaded pair, with its steps compiled."""
    spec = dataclasses.replace(pair.spec, compile=True)
    return dataclasses.replace(pair, spec=spec)
