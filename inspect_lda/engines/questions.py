"""Questions to a decoder that need no row of the batch, answered between two steps."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar

from inspect_lda.engines.outcome import ordinary
from inspect_lda.engines.prefill import Prefiller

QuestionT = TypeVar("QuestionT")
AnswerT = TypeVar("AnswerT")
AskedT = TypeVar("AskedT", contravariant=True)
GivenT = TypeVar("GivenT", covariant=True)


class Answering(Protocol[AskedT, GivenT]):
    """The part of a decoder that answers questions."""

    def check(self, request: AskedT) -> None:
        """Refuse a question that can not be answered, before others share its pass."""
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
        prefiller: Prefiller,
        most: int,
    ) -> None:
        """Answer up to `most` of them; each fails for its own reason or with all."""
        taken, self._waiting = self._waiting[:most], self._waiting[most:]
        asked: list[tuple[QuestionT, Future[AnswerT]]] = []
        for request, future in taken:
            if not future.set_running_or_notify_cancel():
                continue
            try:
                decoder.check(request)
                asked.append((request, future))
            except BaseException as error:
                future.set_exception(ordinary(error))
        try:
            answers = decoder.score([request for request, _ in asked], prefiller)
        except BaseException as error:
            for _, future in asked:
                future.set_exception(ordinary(error))
            return
        for (_, future), answer in zip(asked, answers, strict=True):
            future.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Give every waiting question this error."""
        for _, future in self._waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        self._waiting = []
