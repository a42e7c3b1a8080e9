"""One thread that feeds a rolling batch, beside the event loop."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

from inspect_lda.engines.outcome import CancellableRow, Entry, ordinary
from inspect_lda.engines.questions import (
    Answering,
    AnswerT,
    AskedT,
    GivenT,
    Questions,
    QuestionT,
)
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
    """

    def __init__(self, start: Callable[[], DecoderT], max_rows: int, name: str) -> None:
        self._start = start
        self._max_rows = max_rows
        self._name = name
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._decoder: DecoderT | None = None
        self._batch: RollingBatch[RowT] | None = None
        self._waiting: list[Entry[RequestT, RowT]] = []
        self._running: list[Entry[RequestT, RowT]] = []
        self._questions: Questions[QuestionT, AnswerT] = Questions()

    def submit(self, request: RequestT) -> "Future[RowT]":
        """Queue a request; the future resolves to its finished row.

        Cancelling the future frees the row's place at the next step.
        """
        entry: Entry[RequestT, RowT] = Entry(request, Future())
        self._put(lambda: self._waiting.append(entry))
        return entry.future

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
                self._fail(self._running or self._waiting, failure)
                if self._decoder is None:
                    self._questions.fail(failure)
        # Nobody receives any more: what was queued before close() must not hang.
        while not self._inbox.empty():
            self._inbox.get()()
        self._fail(self._running + self._waiting, RuntimeError(CLOSED))
        self._questions.fail(RuntimeError(CLOSED))
        self._decoder = self._batch = None

    def _receive(self) -> None:
        idle = not (self._waiting or self._running or self._questions)
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
        if self._questions:
            decoder, batch = self._ready()
            self._questions.answer(decoder, batch.prefiller, self._max_rows)
        self._waiting = [e for e in self._waiting if not e.future.cancelled()]
        for entry in self._running:
            if entry.row is not None:
                entry.row.cancelled = entry.future.cancelled()
        if not (self._waiting or self._running):
            return
        decoder, batch = self._ready()
        batch.drop_finished()
        self._admit(decoder, batch)
        if batch.rows:
            batch.step()
        self._deliver()
        batch.drop_finished()

    def _ready(self) -> tuple[DecoderT, RollingBatch[RowT]]:
        if self._decoder is None or self._batch is None:
            self._decoder = self._start()
            self._batch = RollingBatch(self._decoder, self._max_rows)
        return self._decoder, self._batch

    def _admit(self, decoder: DecoderT, batch: RollingBatch[RowT]) -> None:
        self._make_rows(decoder)
        rows = [e.row for e in self._waiting if e.row is not None]
        # A row can be done before its first token: a prompt that fills the context.
        started = batch.admissible([row for row in rows if not row.done])
        entering: list[RowT] = []
        rest: list[Entry[RequestT, RowT]] = []
        for entry, row in zip(self._waiting, rows, strict=True):
            if not row.done and len(entering) == started:
                rest.append(entry)
                continue
            self._running.append(entry)
            if not row.done:
                entering.append(row)
        self._waiting = rest
        if entering:
            batch.admit(entering)
            self._deliver()
            batch.drop_finished()

    def _make_rows(self, decoder: DecoderT) -> None:
        made: list[Entry[RequestT, RowT]] = []
        for entry in self._waiting:
            try:
                entry.row = entry.row or decoder.row(entry.request)
                made.append(entry)
            except BaseException as error:
                # A request that can not become a row is its own failure alone.
                entry.settle(ordinary(error))
        self._waiting = made

    def _deliver(self) -> None:
        still: list[Entry[RequestT, RowT]] = []
        for entry in self._running:
            assert entry.row is not None
            if not entry.row.done:
                still.append(entry)
            else:
                entry.settle(entry.row.error)
        self._running = still

    def _fail(self, entries: list[Entry[RequestT, RowT]], error: Exception) -> None:
        for entry in entries:
            entry.settle(error)
        failed = {id(entry) for entry in entries}
        self._waiting = [e for e in self._waiting if id(e) not in failed]
        self._running = []
        if self._batch is not None:
            self._batch.clear()
