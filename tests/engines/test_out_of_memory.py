"""Memory that runs out costs time, and no text: rows start again from their seeds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.cache_utils import Cache

from inspect_lda.engines.base import (
    EngineError,
    Sampling,
    Scored,
    ScoreRequest,
)
from inspect_lda.engines.growing import GrowingLayer
from inspect_lda.engines.prefill import Prefiller
from inspect_lda.engines.rows import RowState
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.pair import Pair, PairSpec, load_pair
from tests.engines.requests import request
from tests.engines.tight import SECONDS, FullDevice, held_by, serving, texts
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

MANY = [
    request(
        range(4 + i, 9 + i + 9 * (i % 4)), 0.4 * i, 4 + 7 * (i % 4), Sampling(seed=i)
    )
    for i in range(12)
]
FITS = 3
POISON = 77

Refuse = Callable[[str, int], None]


class FullLayer(GrowingLayer):
    """A growing layer that asks before it allocates."""

    def __init__(self, refuse: Refuse) -> None:
        super().__init__()
        self.refuse = refuse

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Grow."""
        when = "step" if self.get_seq_length() > 0 else "prefill"
        self.refuse(when, key_states.shape[0])
        return super().update(key_states, value_states)

    def join(self, other: GrowingLayer, columns: int) -> None:
        """Take in rows."""
        self.refuse("join", len(self.states()[0]) + len(other.states()[0]))
        super().join(other, columns)

    def keep(self, rows: Tensor, padding: int) -> None:
        """Drop rows."""
        self.refuse("keep", len(rows))
        super().keep(rows, padding)


class Crowded(PairDecoder):
    """The real decoder where memory for more than `FITS` rows runs out.

    One layer of several runs out of it, so that some are ahead of others then.
    """

    def __init__(self, pair: Pair, where: str) -> None:
        super().__init__(pair)
        self.where = where
        self.refused: list[int] = []

    def refuse(self, where: str, rows: int) -> None:
        """Raise what torch raises."""
        if where == self.where and rows > FITS:
            self.refused.append(rows)
            raise torch.OutOfMemoryError("out of memory. Tried to allocate 1 GiB")

    def new_cache(self) -> Cache:
        """A cache with a layer that may be full."""
        cache = super().new_cache()
        cache.layers[2] = FullLayer(self.refuse)
        return cache

    def draw(self, states: tuple[Tensor, ...], rows: list[RowState]) -> list[int]:
        """Draw; where that is refused, the uniforms are gone already."""
        where = "draw" if rows[0].tokens else "first draw"
        if self.where == where and len(rows) > FITS:
            for row in rows:
                row.uniforms.next()
        self.refuse(where, len(rows))
        return super().draw(states, rows)

    def score(
        self, requests: Sequence[ScoreRequest], prefiller: Prefiller
    ) -> list[Scored]:
        """Score."""
        self.refuse("score", len(requests))
        return super().score(requests, prefiller)


@pytest.fixture(scope="module")
def expected(pair: Pair) -> list[tuple[int, ...]]:
    with serving(lambda: PairDecoder(pair)) as scheduler:
        return texts(scheduler, MANY)


@pytest.mark.parametrize(
    "where", ["prefill", "first draw", "join", "step", "draw", "keep"]
)
def test_rows_that_found_no_memory_say_the_same_later(
    where: str,
    pair: Pair,
    expected: list[tuple[int, ...]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    crowded = Crowded(pair, where)
    with serving(lambda: crowded) as scheduler:
        assert texts(scheduler, MANY) == expected
    assert 1 <= len(crowded.refused) <= 4, "fewer rows each time"
    assert "start again later, with the same seeds" in caplog.text
    assert "-M memory_fraction=" in caplog.text


def test_rows_that_were_there_first_go_on(pair: Pair) -> None:
    class Following(Crowded):
        def draw(self, states: tuple[Tensor, ...], rows: list[RowState]) -> list[int]:
            begun.extend(row.prompt[0] for row in rows if not row.tokens)
            return super().draw(states, rows)

    begun: list[int] = []
    asked = [request((i, 6, 7), 1.0, 20) for i in range(11, 20)]
    with serving(lambda: Following(pair, "step"), most=6) as scheduler:
        texts(scheduler, asked)
    # Six began, the newer three of them again, before those that came after them.
    assert begun == [11, 12, 13, 14, 15, 16, 14, 15, 16, 17, 18, 19]


@pytest.mark.parametrize(
    "share", [0.8, *(pytest.param(x, marks=pytest.mark.slow) for x in (0.5, 0.3)), 0.2]
)
def test_a_device_that_fills_up_anywhere(share: float, tmp_path: Path) -> None:
    for name, seed in (("after", 1), ("before", 2)):
        deep = tiny_model(seed=seed, num_hidden_layers=6)
        save_checkpoint(tmp_path / name, deep, tiny_tokenizer())
    pair = load_pair(PairSpec(f"{tmp_path}/after", f"{tmp_path}/before", device="cpu"))

    def run(device: FullDevice) -> list[tuple[int, ...]]:
        with (
            serving(lambda: PairDecoder(pair)) as scheduler,
            held_by(device, scheduler),
        ):
            return texts(scheduler, MANY)

    ample = FullDevice()
    undisturbed = run(ample)
    full = FullDevice(capacity=int(share * ample.peak))
    assert run(full) == undisturbed
    assert full.refusals > 0


def test_what_runs_out_of_memory_alone_fails_alone(
    pair: Pair, expected: list[tuple[int, ...]]
) -> None:
    class Poisoned(PairDecoder):
        def forward(
            self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache
        ) -> tuple[Tensor, Tensor]:
            if ids.shape[1] > 1 and bool((ids == POISON).any()):
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you")
            seen.append(len(ids))
            return super().forward(ids, mask, positions, cache)

    seen: list[int] = []
    with serving(lambda: Poisoned(pair)) as scheduler:
        before = [scheduler.submit(one) for one in MANY[:6]]
        bad = scheduler.submit(request((5, POISON, 6)))
        after = [scheduler.submit(one) for one in MANY[6:]]
        error = bad.exception(SECONDS)
        found = [f.result(SECONDS).completion().tokens for f in (*before, *after)]
        assert found == expected
        seen.clear()
        assert texts(scheduler, MANY[:8]) == expected[:8]
        assert max(seen) == 8, "the others run together again"
    assert isinstance(error, EngineError)
    for part in ("alone in the batch", "3 tokens of prompt", "up to 15", "max_tokens"):
        assert part in str(error)
    assert error.__cause__ is not None
    assert error.__cause__.__traceback__ is None, "it would hold the memory"


def test_questions_that_found_no_memory_are_asked_in_smaller_groups(
    pair: Pair,
) -> None:
    asked = [ScoreRequest((5 + i, 6, 7), (9, 10), (0.5,)) for i in range(8)]
    crowded = Crowded(pair, "score")
    with serving(lambda: crowded) as scheduler:
        futures = [scheduler.score(one) for one in asked]
        assert all(len(f.result(SECONDS).log_p_after) == 2 for f in futures)
    assert crowded.refused


def test_a_question_that_runs_out_of_memory_alone_fails_alone(pair: Pair) -> None:
    class Poisoned(PairDecoder):
        def score(
            self, requests: Sequence[ScoreRequest], prefiller: Prefiller
        ) -> list[Scored]:
            if any(POISON in one.prompt for one in requests):
                raise torch.OutOfMemoryError("out of memory. Tried to allocate 1 GiB")
            return super().score(requests, prefiller)

    prompts = [(5, 6), (POISON,), (7, 8)]
    with serving(lambda: Poisoned(pair)) as scheduler:
        running = scheduler.submit(request(max_tokens=40))
        asked = [scheduler.score(ScoreRequest(p, (9,), (1.0,))) for p in prompts]
        error = asked[1].exception(SECONDS)
        good = [asked[index].result(SECONDS) for index in (0, 2)]
        assert running.result(SECONDS).done
    assert isinstance(error, EngineError)
    assert "alone" in str(error)
    assert all(len(one.log_p_after) == 1 for one in good)
