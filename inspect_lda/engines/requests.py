"""The requests of a scheduler: who waits in line, and whose row is in the batch."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Generic

from inspect_lda.engines.outcome import Entry, RequestT, RowT, ordinary


class Requests(Generic[RequestT, RowT]):
    """First come, first served."""

    def __init__(self) -> None:
        self._waiting: list[Entry[RequestT, RowT]] = []
        self._running: list[Entry[RequestT, RowT]] = []

    def __bool__(self) -> bool:
        """Whether any request is not settled."""
        return bool(self._waiting or self._running)

    def add(self, request: RequestT, future: "Future[RowT]") -> None:
        """Put a request at the end of the line."""
        self._waiting.append(Entry(request, future))

    def drop_withdrawn(self) -> None:
        """Forget requests whose future was cancelled; rows of theirs are done."""
        self._waiting = [e for e in self._waiting if not e.future.cancelled()]
        for entry in self._running:
            if entry.row is not None:
                entry.row.cancelled = entry.future.cancelled()

    def make_rows(self, make: Callable[[RequestT], RowT]) -> None:
        """Give every waiting request its row, or the error that making it raises."""
        made: list[Entry[RequestT, RowT]] = []
        for entry in self._waiting:
            try:
                entry.row = entry.row or make(entry.request)
                made.append(entry)
            except BaseException as error:
                # A request that can not become a row is its own failure alone.
                entry.settle(ordinary(error))
        self._waiting = made

    def enter(self, admissible: Callable[[list[RowT]], int]) -> list[RowT]:
        """Take from the head of the line what may join the batch, and return its rows.

        Args:
            admissible: How many of the waiting rows, in order, may join.
        """
        rows = [e.row for e in self._waiting if e.row is not None]
        # A row can be done before its first token: a prompt that fills the context.
        started = admissible([row for row in rows if not row.done])
        entering: list[RowT] = []
        rest: list[Entry[RequestT, RowT]] = []
        for entry, row in zip(self._waiting, rows, strict=True):
            if row.done:
                entry.settle(row.error)
            elif len(entering) == started:
                rest.append(entry)
            else:
                self._running.append(entry)
                entering.append(row)
        self._waiting = rest
        return entering

    def start_again(self, lost: Iterable[RowT]) -> None:
        """Put requests whose rows left the batch back at the head of the line."""
        rows = {id(row) for row in lost if not row.done}
        if not rows:
            return
        back = [e for e in self._running if id(e.row) in rows]
        self._running = [e for e in self._running if id(e.row) not in rows]
        for entry in back:
            # Its next row draws the same tokens: they follow from the seed alone.
            entry.row = None
        self._waiting = back + self._waiting

    def deliver(self) -> None:
        """Settle the requests whose rows are done."""
        still: list[Entry[RequestT, RowT]] = []
        for entry in self._running:
            assert entry.row is not None
            if not entry.row.done:
                still.append(entry)
            else:
                entry.settle(entry.row.error)
        self._running = still

    def fail(self, error: Exception) -> None:
        """Settle all running requests with an error, or all that wait if none runs."""
        if self._running:
            failed, self._running = self._running, []
        else:
            failed, self._waiting = self._waiting, []
        for entry in failed:
            entry.settle(error)
