"""One thread that feeds a rolling batch, beside the event loop."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

from inspect_lda.engines.budget import UNLIMITED, Budget
from inspect_lda.engines.outcome import CancellableRow, ordinary
from inspect_lda.engines.questions import (
    Answering,
    AnswerT,
    AskedT,
    GivenT,
    Questions,
    QuestionT,
)
from inspect_lda.engines.requests import Requests
from inspect_lda.engines.rolling import Decoder, RollingBatch

GATHER_SECONDS = 0.005
"""How long an idle batch waits for companions of the first request."""

CLOSED = "the engine is closed"


RequestT = TypeVar("RequestT", contravariant=True)
RowT = TypeVar("RowT", bound=CancellableRow)
T = TypeVar("T")


class RowDecoder(
    Decoder[RowT],
    Answering[AskedT, GivenT],
    Protocol[RequestT, RowT, AskedT, GivenT],
):
    """A decoder that makes its own rows and answers questions between steps."""

    def row(self, request: RequestT) -> RowT:
        """Turn a request into a row of the batch."""
        ...


DecoderT = TypeVar("DecoderT", bound=RowDecoder[Any, Any, Any, Any])


class Scheduler(Generic[RequestT, RowT, QuestionT, AnswerT, DecoderT]):
    """Runs requests through one rolling batch on a thread of its own.

    Args:
        start: Builds the decoder; called on the thread at the first request, so that
            loading weights blocks nobody. If it raises, the waiting requests fail
            with its error and the next request tries again.
        max_rows: Most rows at a time.
        name: Name of the thread.
        budget: Says what caches may take, once the decoder is there. Requests that do
            not fit wait in line.
    """

    def __init__(
        self,
        start: Callable[[], DecoderT],
        max_rows: int,
        name: str,
        budget: Callable[[DecoderT], Budget] = lambda _: UNLIMITED,
    ) -> None:
        self._start = start
        self._max_rows = max_rows
        self._name = name
        self._budget = budget
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._decoder: DecoderT | None = None
        self._batch: RollingBatch[RowT] | None = None
        self._requests: Requests[RequestT, RowT] = Requests()
        self._questions: Questions[QuestionT, AnswerT] = Questions()

    def submit(self, request: RequestT) -> "Future[RowT]":
        """Queue a request; the future resolves to its finished row.

        Cancelling the future frees the row's place at the next step.
        """
        future: Future[RowT] = Future()
        self._put(lambda: self._requests.add(request, future))
        return future

    def score(self, request: QuestionT) -> "Future[AnswerT]":
        """Queue a question; those that wait together are answered together."""
        future: Future[AnswerT] = Future()
        self._put(lambda: self._questions.add(request, future))
        return future

    def call(self, function: Callable[[DecoderT], T]) -> "Future[T]":
        """Run a function of the decoder on the thread, between two steps."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                if self._closed:
                    raise RuntimeError(CLOSED)
                future.set_result(function(self._ready()[0]))
            except BaseException as error:
                future.set_exception(ordinary(error))

        self._put(run)
        return future

    def close(self) -> None:
        """Stop the thread after the current step; pending requests fail."""
        with self._lock:
            self._closed = True
        if self._thread is not None:
            self._inbox.put(lambda: None)
            self._thread.join()

    def _put(self, action: Callable[[], None]) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError(CLOSED)
            self._inbox.put(action)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=self._name, daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            self._receive()
            try:
                self._turn()
            except BaseException as error:
                # Whatever a step raises ends the requests that were in it, with the
                # reason, and leaves the thread ready for the next ones. Without any
                # in it (weights that do not load), all that wait are concerned.
                failure = ordinary(error)
                self._requests.fail(failure)
                if self._batch is None:
                    self._questions.fail(failure)
                else:
                    self._batch.clear()
        # Nobody receives any more: what was queued before close() must not hang.
        while not self._inbox.empty():
            self._inbox.get()()
        while self._requests:
            self._requests.fail(RuntimeError(CLOSED))
        self._questions.fail(RuntimeError(CLOSED))
        self._decoder = self._batch = None

    def _receive(self) -> None:
        idle = not (self._requests or self._questions)
        timeout: float | None = None if idle else 0.0
        while True:
            try:
                self._inbox.get(block=timeout != 0, timeout=timeout)()
            except queue.Empty:
                return
            if idle and timeout is None:
                deadline = time.monotonic() + GATHER_SECONDS
            timeout = max(0.0, deadline - time.monotonic()) if idle else 0.0

    def _turn(self) -> None:
        crowded = False
        if self._questions:
            decoder, batch = self._ready()
            crowded = self._questions.answer(decoder, batch, self._max_rows)
        self._requests.drop_withdrawn()
        if not self._requests:
            return
        decoder, batch = self._ready()
        self._requests.start_again(batch.drop_finished())
        if not crowded:
            self._admit(decoder, batch)
        if batch.rows:
            self._requests.start_again(batch.step())
        self._requests.deliver()
        self._requests.start_again(batch.drop_finished())

    def _ready(self) -> tuple[DecoderT, RollingBatch[RowT]]:
        if self._decoder is None or self._batch is None:
            decoder = self._start()
            budget = self._budget(decoder)
            self._batch = RollingBatch(decoder, self._max_rows, budget=budget)
            self._decoder = decoder
        return self._decoder, self._batch

    def _admit(self, decoder: DecoderT, batch: RollingBatch[RowT]) -> None:
        def make(request: RequestT) -> RowT:
            row: RowT = decoder.row(request)
            if not row.done:
                batch.admission.check(row.extent)
            return row

        self._requests.make_rows(make)
        if entering := self._requests.enter(batch.admissible):
            self._requests.start_again(batch.admit(entering))
            self._requests.deliver()
            self._requests.start_again(batch.drop_finished())
