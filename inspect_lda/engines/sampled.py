"""What the sampler has to know of a row, and where it records."""

from collections.abc import Mapping, Sequence, Sized
from typing import Protocol

from inspect_lda.engines.base import Request, TokenLogprobs


class Uniforms(Protocol):
    """The uniforms of one row's tokens."""

    def next(self) -> float:
        """Return the uniform of the next token."""
        ...


class SampledRow(Protocol):
    """A row of a batch."""

    @property
    def request(self) -> Request:
        """What is asked."""
        ...

    @property
    def tokens(self) -> Sized:
        """The tokens so far."""
        ...

    @property
    def counts(self) -> Mapping[int, int]:
        """How often each id is among them."""
        ...

    @property
    def uniforms(self) -> Uniforms:
        """Its random stream."""
        ...

    @property
    def logprobs(self) -> list[TokenLogprobs]:
        """One entry a token, if asked for."""
        ...

    @property
    def done(self) -> bool:
        """Whether nothing is recorded any more."""
        ...

    def take(
        self, token: int, values: Sequence[float], others: Sequence[float] = ()
    ) -> None:
        """Record a drawn token: its `StepEvidence`, and log q at `Request.others`."""
        ...
