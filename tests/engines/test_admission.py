"""Admission by memory: in order, within the budget, and no change of a text."""

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from torch import Tensor

from inspect_lda.engines.base import (
    EngineError,
    Request,
    Sampling,
    Scored,
    ScoreRequest,
)
from inspect_lda.engines.budget import Budget, measure
from inspect_lda.engines.prefill import Prefiller
from inspect_lda.engines.rolling import RollingBatch
from inspect_lda.engines.rows import RowState
from inspect_lda.engines.transformers import PairDecoder, TransformersEngine
from inspect_lda.pair import Pair, PairSpec
from tests.engines.requests import NO_EOS, PROMPTS, request
from tests.engines.tight import (
    SECONDS,
    FullDevice,
    held_by,
    room_for,
    serving,
    texts,
)

LENGTH = 40
# Of one length at most, so that a budget is one for so many of any of them; a third may
# end sooner.
MANY = [
    Request(
        prompt := PROMPTS[i % 3],
        0.3 * i,
        Sampling(seed=i, logit_bias=NO_EOS if i % 3 else {}),
        LENGTH - len(prompt),
    )
    for i in range(10)
]


class Watched(PairDecoder):
    """The real decoder; remembers which requests it saw, and how many at once."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair)
        self.seen: list[Request] = []
        self.most = 0
        self.hold, self.entered = threading.Event(), threading.Event()
        self.hold.set()
        self.answered: list[int] = []

    def draw(self, states: tuple[Tensor, ...], rows: list[RowState]) -> list[int]:
        """Watch and draw."""
        self.entered.set()
        self.hold.wait(SECONDS)
        self.most = max(self.most, len(rows))
        self.seen += [r.request for r in rows if r.request not in self.seen]
        return super().draw(states, rows)

    def score(
        self, requests: Sequence[ScoreRequest], prefiller: Prefiller
    ) -> list[Scored]:
        """Watch and score."""
        self.answered.append(len(self.seen))
        return super().score(requests, prefiller)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_rows_beyond_the_budget_wait_and_say_the_same(pair: Pair, rows: int) -> None:
    with serving(lambda: PairDecoder(pair)) as ample:
        expected = texts(ample, MANY)
    watched = Watched(pair)
    with serving(lambda: watched, room_for(rows, MANY), most=32) as tight:
        assert texts(tight, MANY) == expected
    assert watched.most == rows
    assert watched.seen == MANY


def test_what_is_held_does_not_grow_with_what_was_answered(pair: Pair) -> None:
    device, held = FullDevice(), []
    row = LENGTH * measure(PairDecoder(pair)).per_token
    with (
        serving(lambda: PairDecoder(pair), room_for(3, MANY)) as scheduler,
        held_by(device, scheduler),
    ):
        for _ in range(3):
            texts(scheduler, MANY)
            scheduler.call(lambda _: None).result(SECONDS)
            held.append(device.held)
    # The same prefixes, and what the sampler keeps of the last batch.
    assert max(held) - min(held) < row / 2
    assert device.peak > 3 * row


def test_short_requests_do_not_overtake_a_long_one(pair: Pair) -> None:
    watched = Watched(pair)
    asked = [
        request(PROMPTS[0], 1.0, steps, Sampling(seed=seed))
        for seed, steps in enumerate([8, 40, 120, 4, 4, 4, 4])
    ]
    with serving(lambda: watched, room_for(1, asked), most=32) as scheduler:
        texts(scheduler, asked)
    assert watched.seen == asked
    assert watched.most > 1, "the short ones run together"


async def test_what_can_never_fit_fails_alone(pair: Pair, spec: PairSpec) -> None:
    long = request(PROMPTS[1], 1.0, 200)
    with serving(lambda: PairDecoder(pair), room_for(2, MANY)) as scheduler:
        futures = [scheduler.submit(one) for one in (MANY[0], long, MANY[1])]
        error = futures[1].exception(SECONDS)
        assert futures[0].result(SECONDS).done
        assert futures[2].result(SECONDS).done
        asked = ScoreRequest(PROMPTS[0], (7,) * 200, (1.0,))
        refused = scheduler.score(asked).exception(SECONDS)
        answered = scheduler.score(replace(asked, continuation=(7, 8)))
        assert len(answered.result(SECONDS).log_p_after) == 2
    assert isinstance(error, EngineError)
    assert isinstance(refused, EngineError)
    assert "11 tokens and up to 200 more" in str(error)
    engine = TransformersEngine(spec, memory_fraction=1e-9)
    try:
        with pytest.raises(EngineError, match=r"1e-09 of the .* free on cpu after"):
            await engine.generate(request())
    finally:
        engine.close()


def test_stored_prefixes_give_way_to_rows(pair: Pair) -> None:
    decoder = PairDecoder(pair)
    asked = [request((5 + i, *range(20)), 1.0, 30) for i in range(8)]
    budget = room_for(8, asked)(decoder)
    batch: RollingBatch[RowState] = RollingBatch(decoder, 32, budget=budget)
    store = batch.prefiller._store

    def held(rows: list[RowState]) -> int:
        extents = [row.extent for row in rows]
        return store._bytes + Budget(0, budget.footprint).needed(extents)

    for one in asked:
        batch.admit([decoder.row(replace(one, max_tokens=1))])
        batch.drop_finished()
    stored = len(store._entries)
    assert stored > 2
    assert store._bytes <= budget.total // 4
    rows = [decoder.row(one) for one in asked]
    assert batch.admissible(rows) == 8
    batch.admit(rows)
    assert len(store._entries) < stored
    assert held(rows) <= budget.total
    while batch.rows:
        batch.step()
        batch.drop_finished()
    batch.admit([decoder.row(replace(asked[0], max_tokens=1))])
    assert len(store._entries) > 0, "and come back when there is room"


def test_a_cancelled_request_gives_its_room_back(pair: Pair) -> None:
    watched = Watched(pair)
    long = request(PROMPTS[0], 1.0, 240)
    short = request(PROMPTS[0], 0.5, 240, Sampling(seed=1))
    watched.hold.clear()
    with serving(lambda: watched, room_for(1, [long])) as scheduler:
        running = scheduler.submit(long)
        assert watched.entered.wait(SECONDS)
        waiting = scheduler.submit(short)
        assert running.cancel()
        watched.hold.set()
        assert len(waiting.result(SECONDS).tokens) == 240
    assert watched.most == 1


def test_a_question_waits_for_room_and_nobody_overtakes_it(pair: Pair) -> None:
    watched = Watched(pair)
    steps = (60, 5, 5)
    rows = [request(PROMPTS[0], 1.0, n, Sampling(seed=n)) for n in steps]
    asked = ScoreRequest(PROMPTS[0], (7,) * 100, (0.0, 1.0))
    watched.hold.clear()
    # Beside the first row there is room for the others, but not for the question.
    with serving(lambda: watched, room_for(2, rows)) as scheduler:
        running = scheduler.submit(rows[0])
        assert watched.entered.wait(SECONDS)
        answer = scheduler.score(asked)
        later = [scheduler.submit(one) for one in rows[1:]]
        watched.hold.set()
        assert len(answer.result(SECONDS).log_p_after) == 100
        assert all(future.result(SECONDS).done for future in (running, *later))
    assert watched.answered == [1], "after the first row, before the second"


def test_many_questions_are_answered_in_groups_that_fit(pair: Pair) -> None:
    watched = Watched(pair)
    asked = [ScoreRequest((5 + i, 6, 7), (9,) * 6, (1.0,)) for i in range(9)]
    limits = [Request((5, 6, 7), 1.0, Sampling(logit_bias=NO_EOS), 6)]
    with serving(lambda: watched, room_for(2, limits), most=9) as scheduler:
        answers = [scheduler.score(one) for one in asked]
        got = [future.result(SECONDS) for future in answers]
    with serving(lambda: PairDecoder(pair)) as ample:
        for one, answer in zip(asked, got, strict=True):
            alone = ample.score(one).result(SECONDS)
            assert answer.log_p_after == pytest.approx(alone.log_p_after, abs=1e-4)
    assert len(watched.answered) >= 5


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.1, float("nan")])
def test_a_fraction_that_is_none_is_refused(spec: PairSpec, fraction: float) -> None:
    with pytest.raises(ValueError, match=r"memory_fraction must be above 0.*got"):
        TransformersEngine(spec, memory_fraction=fraction)
