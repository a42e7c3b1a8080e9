"""The thread: nothing hangs, nothing leaks, nobody pays for another's failure."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.cache_utils import Cache

from inspect_lda.engines.base import EngineError
from inspect_lda.engines.budget import Extent
from inspect_lda.engines.prefill import Prefiller
from inspect_lda.engines.scheduler import Scheduler

SECONDS = 10


class Panic(BaseException):
    """What a crash in a tokenizer's Rust code looks like."""


@dataclass
class Steps:
    """A request and its row: so many steps."""

    left: int
    cancelled: bool = False
    error: Exception | None = None
    prompt: tuple[int, ...] = (1,)

    @property
    def extent(self) -> Extent:
        """One token more a step."""
        return Extent(1, 1 + self.left)

    @property
    def done(self) -> bool:
        """Whether it needs no further step."""
        return self.left <= 0 or self.cancelled or self.error is not None


class Counter:
    """A decoder without a model; `during` runs in every draw."""

    rolls = False
    device = torch.device("cpu")

    def __init__(self, during: Callable[[list[Steps]], None] = lambda _: None) -> None:
        self.during = during

    def new_cache(self) -> Cache:
        """An unused cache."""
        return Cache(layers=[])

    def row(self, request: Steps) -> Steps:
        """The request is its row; a negative number of steps is refused."""
        if request.left < 0:
            raise Panic("no such number")
        return request

    def forward(
        self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache
    ) -> tuple[Tensor, ...]:
        """Nothing to compute."""
        return (ids,)

    def draw(self, states: tuple[Tensor, ...], rows: list[Steps]) -> list[int]:
        """One step less."""
        self.during(rows)
        for row in rows:
            row.left -= 1
        return [0] * len(rows)

    def check(self, request: int) -> None:
        """Odd numbers are refused."""
        if request % 2:
            raise ValueError("odd")

    def extent(self, request: int) -> Extent:
        """As many tokens as the number says."""
        return Extent(request, request)

    def score(self, requests: Sequence[int], prefiller: Prefiller) -> list[int]:
        """Half of each."""
        return [request // 2 for request in requests]


Made = Scheduler[Steps, Steps, int, int, Counter]


@pytest.fixture
def schedule() -> Iterator[Callable[..., Made]]:
    made: list[Made] = []

    def build(start: Callable[[], Counter] = Counter, rows: int = 2) -> Made:
        made.append(Scheduler(start, rows, "test"))
        return made[-1]

    yield build
    for scheduler in made:
        scheduler.close()


def test_closing_fails_what_runs_what_waits_and_what_was_not_yet_received(
    schedule: Callable[..., Made],
) -> None:
    entered, release = threading.Event(), threading.Event()

    def start() -> Counter:
        entered.set()
        release.wait(SECONDS)
        return Counter()

    scheduler = schedule(start)
    futures: list[Future[Any]] = [scheduler.submit(Steps(10**9))]
    assert entered.wait(SECONDS)
    # The thread is loading: these stay in its inbox.
    futures += [scheduler.submit(Steps(1)), scheduler.call(lambda d: d.rolls)]
    closing = threading.Thread(target=scheduler.close)
    closing.start()
    while not scheduler._closed:
        time.sleep(0.001)
    release.set()
    for future in futures:
        assert "closed" in str(future.exception(SECONDS))
    closing.join(SECONDS)
    with pytest.raises(RuntimeError, match="closed"):
        scheduler.submit(Steps(1))
    scheduler.close()


@pytest.mark.parametrize("kind", [Panic, StopIteration])
def test_what_asyncio_can_not_carry_ends_its_request_and_not_the_thread(
    kind: type[BaseException], schedule: Callable[..., Made]
) -> None:
    def during(rows: list[Steps]) -> None:
        if any(row.left == 13 for row in rows):
            raise kind("at the decoder")

    scheduler = schedule(lambda: Counter(during))
    for request, name in ((Steps(13), kind.__name__), (Steps(-1), "Panic")):
        error = scheduler.submit(request).exception(SECONDS)
        assert isinstance(error, EngineError)
        assert name in str(error)

    def panic(_: Counter) -> None:
        raise kind("in a call")

    assert isinstance(scheduler.call(panic).exception(SECONDS), EngineError)
    assert scheduler.submit(Steps(3)).result(SECONDS).left == 0


def test_a_failing_step_spares_those_that_were_not_in_it(
    schedule: Callable[..., Made],
) -> None:
    entered, release = threading.Event(), threading.Event()

    def during(rows: list[Steps]) -> None:
        entered.set()
        release.wait(SECONDS)
        if any(row.left == 11 for row in rows):  # in its second turn
            raise ValueError("out of memory")

    scheduler = schedule(lambda: Counter(during), rows=1)
    failing = scheduler.submit(Steps(13))
    assert entered.wait(SECONDS)
    waiting = [scheduler.submit(Steps(2)) for _ in range(3)]
    release.set()
    assert isinstance(failing.exception(SECONDS), ValueError)
    assert [future.result(SECONDS).left for future in waiting] == [0, 0, 0]


def test_a_failed_start_fails_all_that_wait_and_is_tried_again(
    schedule: Callable[..., Made],
) -> None:
    attempts: list[int] = []

    def start() -> Counter:
        attempts.append(1)
        if len(attempts) == 1:
            time.sleep(0.02)
            raise OSError("no weights")
        return Counter()

    scheduler = schedule(start)
    failed = [scheduler.submit(Steps(1)) for _ in range(5)]
    assert all(isinstance(f.exception(SECONDS), OSError) for f in failed)
    assert scheduler.submit(Steps(1)).result(SECONDS).left == 0
    assert len(attempts) == 2


def test_a_row_with_an_error_fails_alone(schedule: Callable[..., Made]) -> None:
    def during(rows: list[Steps]) -> None:
        for row in rows:
            if row.left == 13:
                row.error = EngineError("no usable token")

    scheduler = schedule(lambda: Counter(during))
    bad, good = scheduler.submit(Steps(13)), scheduler.submit(Steps(5))
    assert isinstance(bad.exception(SECONDS), EngineError)
    assert good.result(SECONDS).left <= 0


def test_cancelled_while_waiting_and_while_running(
    schedule: Callable[..., Made],
) -> None:
    scheduler = schedule(rows=1)
    running = scheduler.submit(Steps(10**9))
    withdrawn = Steps(10**9)
    waiting, last = scheduler.submit(withdrawn), scheduler.submit(Steps(2))
    assert waiting.cancel()
    time.sleep(0.02)
    assert running.cancel()
    assert last.result(SECONDS).left == 0
    assert withdrawn.left == 10**9, "no work is done for it"
    for future in (running, waiting):
        with pytest.raises(CancelledError):
            future.result(0)


def test_thousands_of_requests_leave_nothing_behind(
    schedule: Callable[..., Made],
) -> None:
    scheduler = schedule(rows=64)
    rows = [Steps(1 + i % 3) for i in range(10_000)]
    references = [weakref.ref(row) for row in rows]
    futures = [scheduler.submit(row) for row in rows]
    assert all(future.result(SECONDS).left <= 0 for future in futures)
    del rows, futures
    scheduler.call(lambda _: None).result(SECONDS)
    gc.collect()
    assert sum(reference() is not None for reference in references) <= 64


def test_questions_are_answered_and_refused_one_by_one(
    schedule: Callable[..., Made],
) -> None:
    scheduler = schedule()
    futures = [scheduler.score(number) for number in (4, 7, 10)]
    assert futures[0].result(SECONDS) == 2
    with pytest.raises(ValueError, match="odd"):
        futures[1].result(SECONDS)
    assert futures[2].result(SECONDS) == 5
