"""What one completion costs, counted where requests are sent.

A context variable rather than a counter of the endpoint: many completions share an
endpoint, and tasks that a completion starts inherit its meter.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from inspect_lda.engines.base import Cost


@dataclass
class Meter:
    """Counts the requests made under it.

    Attributes:
        retries_allowed: How often one request may be sent again; None leaves it to
            the endpoint.
        requests: Requests that were answered.
        retries: Requests that failed and were sent again.
        input_tokens: Prompt tokens in answered requests.
        output_tokens: Tokens generated in answered requests.
        drafted: Tokens that were drafted.
        accepted: Drafted tokens that were kept.
    """

    retries_allowed: int | None = None
    requests: int = 0
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    drafted: int = 0
    accepted: int = 0

    def cost(self) -> Cost:
        """The counts so far."""
        return Cost(
            requests=self.requests,
            retries=self.retries,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            drafted=self.drafted,
            accepted=self.accepted,
        )


_current: ContextVar[Meter | None] = ContextVar("inspect_lda_meter", default=None)


@contextmanager
def metering(retries_allowed: int | None = None) -> Iterator[Meter]:
    """Count what is asked of endpoints inside the block, in tasks started there too.

    Args:
        retries_allowed: Overrides how often one request may be sent again.
    """
    meter = Meter(retries_allowed=retries_allowed)
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)


def current_meter() -> Meter:
    """The meter of the running completion; one that nobody reads outside of any."""
    return _current.get() or Meter()
