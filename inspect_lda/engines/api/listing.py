"""What an endpoint says about the token after some prefix."""

import math
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Listing:
    """Log-probabilities of some ids: the most likely ones, and ids that were asked for.

    They are the checkpoint's own: of the whole vocabulary, at temperature 1, before
    penalties and bias.

    Attributes:
        logprobs: Token id to natural log-probability. The first `top` entries are the
            most likely ids, most likely first; any others were asked for by id.
        top: How many entries are the most likely ids of the vocabulary.
        whole: Every id of the vocabulary is listed.
    """

    logprobs: dict[int, float]
    top: int
    whole: bool = False

    @cached_property
    def floor(self) -> float:
        """Least log-probability of the `top` ids: no unlisted id has more.

        Minus infinity if the whole vocabulary is listed.
        """
        if self.whole:
            return -math.inf
        return list(self.logprobs.values())[self.top - 1] if self.top else 0.0

    @cached_property
    def rest(self) -> float:
        """Probability of all that is not listed, at least 0."""
        listed = math.fsum(math.exp(value) for value in self.logprobs.values())
        return 0.0 if self.whole else max(0.0, 1.0 - listed)


@dataclass(frozen=True)
class Draft:
    """Tokens an endpoint sampled by itself, and what it said about each of them.

    Attributes:
        tokens: Sampled ids, in order.
        listings: One a token: the distribution it was sampled from, after the prefix
            and the tokens before it. The token itself is in it.
        ended: The endpoint stopped by itself (end of turn) after the last token.
    """

    tokens: tuple[int, ...]
    listings: tuple[Listing, ...]
    ended: bool
