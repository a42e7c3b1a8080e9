"""The seam between an endpoint's own way of speaking and decoding.

A dialect turns three questions into HTTP requests and the answers into listings. What
an endpoint can do is not believed but probed (`probe`), and kept in `Capabilities`.
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict

from inspect_lda.engines.api.listing import Draft, Listing

Ids: TypeAlias = tuple[int, ...]


class Capabilities(BaseModel):
    """What an endpoint was seen to do; printed by `inspect-lda probe`.

    Attributes:
        dialect: Name of the profile.
        model: Served model name.
        server: What the endpoint says about itself (name, version), if anything.
        max_top: Longest list of most likely tokens it gives; None is the whole
            vocabulary.
        vocabulary: Size of the vocabulary, if known.
        context_length: Tokens the context window holds, if known.
        token_ids: It takes prompts as token ids, and names tokens by id.
        many_prompts: Several prompts in one request.
        scores_ids: Log-probabilities of given ids; the number of ids a request may
            ask for, 0 for none.
        mixes: Lists and given ids may be asked for at the same time.
        prompt_logprobs: It returns log-probabilities of a prompt's own tokens, and
            they agree with those it gives when it generates.
        raw: Log-probabilities do not change with temperature, penalties and bias.
        drafts: It can sample several tokens in one request and list each.
        noise: Largest difference, in nats, between two answers to one question.
        exact: Whether LDA over it can be exact on a support.
        problems: Why not, or what limits it; for people.
        amplifies: The served model is an amplified pair itself (`LDAForCausalLM`).
    """

    model_config = ConfigDict(frozen=True)

    dialect: str
    model: str
    server: str | None = None
    max_top: int | None
    vocabulary: int | None = None
    context_length: int | None = None
    token_ids: bool
    many_prompts: bool
    scores_ids: int = 0
    mixes: bool = True
    prompt_logprobs: bool = False
    raw: bool = True
    drafts: bool = True
    noise: float = 0.0
    exact: bool
    problems: tuple[str, ...] = ()
    amplifies: bool = False


class Dialect(Protocol):
    """Asks one model of one endpoint; every call may be sent as several requests."""

    async def top(self, prefixes: Sequence[Ids], k: int | None) -> list[Listing]:
        """The k most likely next tokens after each prefix; None lists all.

        Raises:
            EndpointError: If the answer is not what was asked for; it says how.
        """
        ...

    async def at(
        self, prefixes: Sequence[Ids], wanted: Sequence[Ids], k: int
    ) -> list[Listing]:
        """Listings that hold the wanted ids of each prefix, beside the k most likely.

        Only where `Capabilities.scores_ids` says so.

        Raises:
            EndpointError: If the answer is not what was asked for.
        """
        ...

    async def draft(
        self, prefix: Ids, n: int, *, k: int, temperature: float, seed: int
    ) -> Draft:
        """Up to n tokens sampled by the endpoint from its k most likely, renormalised.

        The same arguments give the same tokens, so that a request can be sent again.

        Raises:
            EndpointError: If the answer is not what was asked for.
        """
        ...
