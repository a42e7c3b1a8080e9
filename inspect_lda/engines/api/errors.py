"""What goes wrong between us and an endpoint; every error names model and URL."""

from inspect_lda.engines.base import EngineError

EXCERPT = 300
"""Characters of an answer that an error quotes."""


class EndpointError(EngineError):
    """An endpoint did not do what was asked, and asking again would not help.

    Attributes:
        status: HTTP status of the answer, if there was one.
        body: The whole answer of a refusal; the message quotes its beginning.
    """

    def __init__(self, message: str, status: int | None = None, body: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class EndpointUnavailable(EndpointError):
    """Every attempt failed for a reason that may pass; a later one may succeed.

    Attributes:
        rate_limited: The endpoint said that it is asked too often (429).
        retry_after: Seconds the endpoint asked to wait, if it said so.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        *,
        rate_limited: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status)
        self.rate_limited = rate_limited
        self.retry_after = retry_after


class AnswerError(EndpointError):
    """An endpoint answered, but not what was asked: nothing of it is used."""


class ShortList(AnswerError):
    """A list of most likely tokens is shorter than what was asked for."""

    def __init__(self, message: str, granted: int = 0) -> None:
        super().__init__(message)
        self.granted = granted
        """How many tokens there were."""


class UnknownToken(AnswerError):
    """A token came back as a text that no single token has."""


def excerpt(body: str) -> str:
    """The beginning of an answer on one line, fit for a terminal."""
    line = "".join(c if c.isprintable() else " " for c in body[: EXCERPT + 1])
    return line if len(body) <= EXCERPT else f"{line[:EXCERPT]}…"
