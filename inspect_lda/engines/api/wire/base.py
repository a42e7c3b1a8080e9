"""What all dialects share: listings asked in batches, checked, and drafted."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from inspect_lda.engines.api.dialect import Capabilities, Ids
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.listing import Draft, Listing
from inspect_lda.engines.api.meter import current_meter
from inspect_lda.engines.api.profile import Profile
from inspect_lda.engines.api.wire.answers import Reply, given_listing, top_listing
from inspect_lda.engines.api.wire.ask import Ask, groups, together
from inspect_lda.engines.api.wire.turns import turns_at

ENTRIES = 65_536
"""Log-probabilities one request asks for at most, unless one prompt needs more."""
FIXED: Ids = (40, 41, 42, 43)
"""A prompt whose ids every vocabulary has; what they mean does not matter."""
SPARE = 8
"""Ranks asked beyond k where a draft is scored anew: the last ranks may swap."""


class Wire(ABC):
    """A dialect of one endpoint.

    Args:
        endpoint: Where to ask.
        profile: How to ask.
        able: What the endpoint was seen to do.
    """

    def __init__(
        self, endpoint: Endpoint, profile: Profile, able: Capabilities
    ) -> None:
        self.endpoint = endpoint
        self.profile = profile
        self.able = able
        self.turn: str | None = None
        """Set by the probe, for requests that belong together whatever their kind."""

    @abstractmethod
    async def replies(self, prefixes: Sequence[Ids], ask: Ask) -> list[Reply]:
        """Send one request, return one unchecked reply a prefix.

        Raises:
            EndpointError: If the endpoint refuses, or its answer cannot be read.
        """

    @property
    def fixed_prompt(self) -> Ids:
        """A prompt for questions about the endpoint itself, always the same."""
        return FIXED

    async def echo(self, ids: Ids) -> list[float | None] | None:
        """Log-probabilities of a prompt's own tokens; None if there is no such way.

        Raises:
            EndpointError: If the endpoint refuses, or its answer cannot be read.
        """
        return None

    async def top(self, prefixes: Sequence[Ids], k: int | None) -> list[Listing]:
        """See `Dialect.top`."""
        ask = Ask(k=self._possible(k))
        parts = self._parts(list(prefixes), ask.k)
        found = await together([self._listed(part, ask) for part in parts])
        return [listing for part in found for listing in part]

    async def at(
        self, prefixes: Sequence[Ids], wanted: Sequence[Ids], k: int
    ) -> list[Listing]:
        """See `Dialect.at`. The k most likely are left out: servers give one or both.

        Raises:
            EndpointError: Also if the endpoint does not score given ids.
        """
        if not self.able.scores_ids:
            raise self.endpoint.refuse("it does not score ids that it is asked for")
        pairs = list(zip(prefixes, wanted, strict=True))
        size = self.able.scores_ids if self.able.many_prompts else 0
        found = await together([self._given(part) for part in groups(pairs, size)])
        return [listing for part in found for listing in part]

    async def draft(
        self, prefix: Ids, n: int, *, k: int, temperature: float, seed: int
    ) -> Draft:
        """See `Dialect.draft`."""
        if self.profile.truncate is None:
            raise self.endpoint.refuse(
                "it cannot be told to sample from a list's ids",
                "Leave drafting out: -M draft=0",
            )
        self._possible(k)
        ask = Ask(
            k=k,
            n=n,
            temperature=temperature,
            truncate=k,
            seed=seed & ((1 << self.profile.seed_bits) - 1),
        )
        [reply] = await self.replies([prefix], ask)
        tokens = reply.tokens
        if not tokens or len(tokens) > n:
            raise self.endpoint.refuse(f"it sampled {len(tokens)} of {n} tokens")
        whole = len(reply.steps) == len(tokens) and None not in reply.steps
        if self.able.raw and whole:
            steps = zip(tokens, reply.steps, strict=True)
            listings = [self._checked(step, k, token, True) for token, step in steps]
        else:
            listings = await self._anew(prefix, tokens, k)
        return Draft(tokens, tuple(listings), reply.ended)

    async def send(self, body: dict[str, Any], ask: Ask) -> Any:
        """Post a body, in its turn where kinds of requests must not meet."""
        if self.able.mixes and self.turn is None:
            return await self.endpoint.post(self.profile.route, body)
        kind = self.turn or ("given" if ask.given else "lists")
        async with turns_at(self.endpoint.address.origin).of(kind):
            return await self.endpoint.post(self.profile.route, body)

    def body(self, prefixes: Sequence[Ids], ask: Ask) -> dict[str, Any]:
        """The sampling parameters of a request, by the profile's names."""
        profile = self.profile
        sampling = {**profile.neutral, "temperature": ask.temperature}
        if ask.truncate is not None and profile.truncate is not None:
            sampling[profile.truncate] = ask.truncate
        return {**sampling, profile.seed: ask.seed}

    def number(self, k: int | None) -> int:
        """How many most likely tokens to ask for; the whole vocabulary has a number."""
        if k is not None:
            return k
        if self.profile.whole is not None:
            return self.profile.whole
        if self.able.vocabulary is None:
            raise self.endpoint.refuse(
                "the size of its vocabulary is not known, so it cannot be asked for all"
            )
        return self.able.vocabulary

    def spend(self, prefixes: Sequence[Ids], replies: Sequence[Reply]) -> None:
        """Count the tokens of an answered request."""
        meter = current_meter()
        meter.input_tokens += sum(map(len, prefixes))
        meter.output_tokens += sum(len(reply.tokens) for reply in replies)

    def check_read(self, sent: Ids, read: int | None) -> None:
        """Refuse if the endpoint says that it read another number of tokens."""
        if read is not None and read != len(sent):
            raise self.endpoint.refuse(
                f"it read {read} prompt tokens where {len(sent)} were sent",
                "Prompts must be taken as they are; does it add a beginning of text?",
            )

    async def _listed(self, prefixes: list[Ids], ask: Ask) -> list[Listing]:
        replies = await self.replies(prefixes, ask)
        if len(replies) != len(prefixes):
            raise self.endpoint.refuse(
                f"it returned {len(replies)} answers to {len(prefixes)} prompts"
            )
        return [
            self._checked(
                reply.steps[0] if reply.steps else None,
                ask.k,
                reply.tokens[0] if reply.tokens else None,
                False,
            )
            for reply in replies
        ]

    async def _given(self, pairs: list[tuple[Ids, Ids]]) -> list[Listing]:
        """One request for several prefixes, or several for one with many ids."""
        size = self.able.scores_ids
        prefixes = [prefix for prefix, _ in pairs]
        longest = max(len(ids) for _, ids in pairs)
        asks = [
            Ask(k=1, given=tuple(ids[i : i + size] for _, ids in pairs))
            for i in range(0, longest, size)
        ]
        answers = await together([self.replies(prefixes, ask) for ask in asks])
        listings = []
        for number, (_, ids) in enumerate(pairs):
            replies = [replies[number] for replies in answers if number < len(replies)]
            entries = [entry for one in replies for step in one.given for entry in step]
            listings.append(given_listing(entries, ids, self.endpoint.refuse))
        return listings

    async def _anew(self, prefix: Ids, tokens: Ids, k: int) -> list[Listing]:
        """Score a draft's tokens, where the draft came without usable listings.

        Throwing such a draft away instead would make what it holds rarer.
        """
        prefixes = [prefix + tokens[:i] for i in range(len(tokens))]
        limit = self.able.max_top or self.able.vocabulary
        more = k + SPARE if limit is None else max(k, min(k + SPARE, limit))
        listings = []
        for token, full in zip(tokens, await self.top(prefixes, more), strict=True):
            if token not in full.logprobs:
                raise self.endpoint.refuse(
                    f"it sampled token {token}, which is not among its {more} most "
                    "likely",
                    "Does it honour top_k, and is it deterministic?",
                )
            kept = dict(list(full.logprobs.items())[:k])
            kept[token] = full.logprobs[token]
            listings.append(Listing(kept, top=min(k, full.top)))
        return listings

    def _checked(
        self,
        step: Sequence[tuple[int, float]] | None,
        k: int | None,
        sampled: int | None,
        keep_sampled: bool,
    ) -> Listing:
        return top_listing(
            step,
            k,
            sampled=sampled,
            keep_sampled=keep_sampled,
            vocabulary=self.able.vocabulary,
            more=self.profile.more or "",
            refuse=self.endpoint.refuse,
        )

    def _possible(self, k: int | None) -> int | None:
        """k, or None where that is the whole vocabulary.

        Raises:
            AnswerError: If the endpoint's lists are shorter.
        """
        limit, vocabulary = self.able.max_top, self.able.vocabulary
        wanted = vocabulary if k is None else k
        if limit is not None and (wanted is None or wanted > limit):
            told = "its whole vocabulary was" if k is None else f"{k} were"
            way_out = f"Way out: {self.profile.more}" if self.profile.more else ""
            raise self.endpoint.refuse(
                f"it lists at most {limit} most likely tokens, {told} asked for",
                way_out,
            )
        whole = vocabulary is not None and k is not None and k >= vocabulary
        return None if whole else k

    def _parts(self, prefixes: list[Ids], k: int | None) -> list[list[Ids]]:
        size = 1
        if self.able.many_prompts:
            size = max(1, ENTRIES // (k or self.able.vocabulary or ENTRIES))
        return [prefixes[i : i + size] for i in range(0, len(prefixes), size)]
