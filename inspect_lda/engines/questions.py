"""Questions to a decoder that need no row of the batch, answered between two steps."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

from inspect_lda.engines.budget import Extent
from inspect_lda.engines.outcome import ordinary
from inspect_lda.engines.prefill import Prefiller
from inspect_lda.engines.rolling import RollingBatch

QuestionT = TypeVar("QuestionT")
AnswerT = TypeVar("AnswerT")
AskedT = TypeVar("AskedT", contravariant=True)
GivenT = TypeVar("GivenT", covariant=True)


class Answering(Protocol[AskedT, GivenT]):
    """The part of a decoder that answers questions."""

    def check(self, request: AskedT) -> None:
        """Refuse a question that can not be answered, before others share its pass."""
        ...

    def extent(self, request: AskedT) -> Extent:
        """How many tokens a question puts into a cache."""
        ...

    def score(
        self, requests: Sequence[AskedT], prefiller: Prefiller
    ) -> Sequence[GivenT]:
        """Answer questions that came together."""
        ...


class Questions(Generic[QuestionT, AnswerT]):
    """The questions that wait for an answer."""

    def __init__(self) -> None:
        self._waiting: list[tuple[QuestionT, Future[AnswerT]]] = []

    def __bool__(self) -> bool:
        """Whether any question waits."""
        return bool(self._waiting)

    def add(self, request: QuestionT, future: "Future[AnswerT]") -> None:
        """Queue a question."""
        self._waiting.append((request, future))

    def answer(
        self,
        decoder: Answering[QuestionT, AnswerT],
        batch: RollingBatch[Any],
        most: int,
    ) -> bool:
        """Answer up to `most` of them; each fails for its own reason or with its group.

        Returns:
            Whether the next one needs memory that rows of the batch hold: no row
            should join until they have left.
        """
        taken, later = self._waiting[:most], self._waiting[most:]
        taken = [one for one in taken if self._accepted(*one, decoder, batch)]
        together = len(taken)
        while taken:
            sizes = [decoder.extent(request) for request, _ in taken[:together]]
            count = batch.admission.fitting(batch.rows, sizes)
            batch.admission.make_room(batch.rows, sizes[:count])
            if count and self._answer(taken[:count], decoder, batch):
                taken = taken[count:]
            elif count > 1:
                together = count // 2
            else:
                break
        self._waiting = taken + later
        return bool(taken)

    def fail(self, error: Exception) -> None:
        """Give every waiting question this error."""
        for _, future in self._waiting:
            _settle(future, error)
        self._waiting = []

    def _accepted(
        self,
        request: QuestionT,
        future: "Future[AnswerT]",
        decoder: Answering[QuestionT, AnswerT],
        batch: RollingBatch[Any],
    ) -> bool:
        if future.cancelled():
            return False
        try:
            decoder.check(request)
            batch.admission.check(decoder.extent(request))
        except BaseException as error:
            _settle(future, ordinary(error))
            return False
        return True

    def _answer(
        self,
        asked: Sequence[tuple[QuestionT, "Future[AnswerT]"]],
        decoder: Answering[QuestionT, AnswerT],
        batch: RollingBatch[Any],
    ) -> bool:
        """Answer questions together; False if memory ran out but fewer may do."""
        try:
            answers = decoder.score([one for one, _ in asked], batch.prefiller)
        except BaseException as error:
            reason = self._final(error, asked, decoder, batch)
            if reason is None:
                return False
            for _, future in asked:
                _settle(future, reason)
            return True
        for (_, future), answer in zip(asked, answers, strict=True):
            if future.set_running_or_notify_cancel():
                future.set_result(answer)
        return True

    def _final(
        self,
        error: BaseException,
        asked: Sequence[tuple[QuestionT, "Future[AnswerT]"]],
        decoder: Answering[QuestionT, AnswerT],
        batch: RollingBatch[Any],
    ) -> Exception | None:
        concerned = [decoder.extent(one) for one, _ in asked]
        concerned += [row.extent for row in batch.rows]
        try:
            batch.admission.raise_unless_shared(ordinary(error), concerned)
        except Exception as reason:
            return reason
        return None


def _settle(future: "Future[Any]", error: Exception) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)
