"""What becomes of a request: its finished row, or an error it can be told."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from inspect_lda.engines.base import EngineError
from inspect_lda.engines.rolling import Row

RequestT = TypeVar("RequestT")


class CancellableRow(Row, Protocol):
    """A row whose request can be withdrawn, and that can fail alone."""

    cancelled: bool

    @property
    def error(self) -> Exception | None:
        """Why the row ended without a result, if it did."""
        ...


RowT = TypeVar("RowT", bound=CancellableRow)


@dataclass
class Entry(Generic[RequestT, RowT]):
    """A request, the row it becomes, and the future somebody waits for."""

    request: RequestT
    future: "Future[RowT]"
    row: RowT | None = None

    def settle(self, error: Exception | None = None) -> None:
        """Resolve the future to its row or an error, unless it was withdrawn."""
        assert error is not None or self.row is not None, "nothing to tell"
        if not self.future.set_running_or_notify_cancel():
            return
        if error is not None:
            self.future.set_exception(error)
        elif self.row is not None:
            self.future.set_result(self.row)


def ordinary(error: BaseException) -> Exception:
    """An error that a future can carry through an event loop.

    A panic in Rust code (a tokenizer, safetensors) is no `Exception`; an asyncio
    future refuses StopIteration, and whoever awaits it would wait for ever.
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = EngineError(f"{type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped
