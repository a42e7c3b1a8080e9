"""The llama.cpp dialect, on llama.cpp's server, against float32 transformers."""

import math
import random

import pytest

from inspect_lda.engines.api.dialect import Ids
from inspect_lda.engines.api.errors import AnswerError
from inspect_lda.engines.api.meter import metering
from inspect_lda.engines.api.wire.ask import Ask
from inspect_lda.engines.api.wire.base import Wire
from tests.engines.api.asking import NATS, asked, furthest, ranked
from tests.served.gguf_files import Checkpoint
from tests.served.servers import ServedPair

PREFIXES: list[Ids] = [(2, 40, 41), (2, 50), (60, 61, 62, 63, 64), (7,)]


async def test_lists_are_those_of_transformers(text_pair: ServedPair) -> None:
    checkpoint = text_pair.pair.after
    async with asked(text_pair.after.url, "tiny-after") as wire:
        for prefix, listing in zip(PREFIXES, await wire.top(PREFIXES, 20), strict=True):
            assert listing.top == len(listing.logprobs) == 20
            assert list(listing.logprobs) == ranked(checkpoint, prefix, 20)
            assert furthest(listing, checkpoint, prefix) < NATS
            assert listing.rest == pytest.approx(rest(checkpoint, prefix, 20), abs=1e-5)


async def test_whole_vocabulary_is_listed_and_sums_to_one(
    text_pair: ServedPair,
) -> None:
    async with asked(text_pair.before.url, "tiny-before") as wire:
        [listing] = await wire.top(PREFIXES[:1], None)
        assert listing.whole
        assert len(listing.logprobs) == wire.able.vocabulary
        assert furthest(listing, text_pair.pair.before, PREFIXES[0]) < NATS
        assert (listing.rest, listing.floor) == (0.0, -math.inf)


async def test_parts_of_characters_lose_nothing(byte_pair: ServedPair) -> None:
    """The server answers null where it happens to sample an incomplete character."""
    draw = random.Random(0)
    prefixes = [tuple(draw.choices(range(4, 250), k=3)) for _ in range(40)]
    async with asked(byte_pair.after.url, "tiny-after") as wire:
        sampled = await plain_replies(wire, prefixes)
        assert None in sampled, "the hazard is not there: the test proves nothing"
        for prefix, listing in zip(prefixes, await wire.top(prefixes, 20), strict=True):
            assert listing.top == 20
            assert furthest(listing, byte_pair.pair.after, prefix) < NATS


async def plain_replies(wire: Wire, prefixes: list[Ids]) -> list[object]:
    """The lists that come without forcing a token."""
    found: list[object] = []
    for prefix in prefixes:
        [reply] = await wire.replies([prefix], Ask(k=20, truncate=20, seed=len(found)))
        found += reply.steps
    return found


async def test_drafts_over_parts_of_characters_list_every_token(
    byte_pair: ServedPair,
) -> None:
    prefix = (2, 40, 41)
    holes = 0
    async with asked(byte_pair.after.url, "tiny-after") as wire:
        for seed in range(8):
            ask = Ask(k=20, n=6, truncate=20, seed=seed)
            [reply] = await wire.replies([prefix], ask)
            holes += None in reply.steps
            draft = await wire.draft(prefix, 6, k=20, temperature=1.0, seed=seed)
            assert draft.tokens == reply.tokens
            steps = enumerate(zip(draft.tokens, draft.listings, strict=True))
            for i, (token, listing) in steps:
                before = prefix + draft.tokens[:i]
                assert token in listing.logprobs
                assert listing.top == 20
                assert furthest(listing, byte_pair.pair.after, before) < NATS
    assert holes, "the hazard is not there: the test proves nothing"


async def test_drafts_are_drawn_from_the_k_most_likely(text_pair: ServedPair) -> None:
    """Not from what the server's default samplers leave (top-p, min-p, T = 0.8)."""
    prefix, k, draws = (2, 40, 41), 8, 600
    checkpoint = text_pair.pair.after
    counts = dict.fromkeys(ranked(checkpoint, prefix, k), 0)
    async with asked(text_pair.after.url, "tiny-after") as wire:
        for seed in range(draws):
            draft = await wire.draft(prefix, 1, k=k, temperature=1.3, seed=seed)
            counts[draft.tokens[0]] += 1
    exact = checkpoint.logprobs(list(prefix))
    weights = {token: math.exp(exact[token].item() / 1.3) for token in counts}
    total = sum(weights.values())
    chi2 = sum(
        (counts[token] - draws * weight / total) ** 2 / (draws * weight / total)
        for token, weight in weights.items()
    )
    assert chi2 < 24.3  # 99.9 % of chi-square with 7 degrees of freedom


async def test_a_draft_repeats_and_says_when_the_model_ended(
    text_pair: ServedPair,
) -> None:
    async with asked(text_pair.after.url, "tiny-after") as wire:
        one, two = [
            await wire.draft((2, 40), 5, k=20, temperature=1.0, seed=2**62 + 5)
            for _ in range(2)
        ]
        assert one.tokens == two.tokens
        ended = [
            await wire.draft((2, 40), 40, k=200, temperature=2.0, seed=seed)
            for seed in range(12)
        ]
    assert {draft.ended for draft in ended} == {True, False}
    assert all((draft.tokens[-1] == 1) == draft.ended for draft in ended)


async def test_a_request_is_counted(text_pair: ServedPair) -> None:
    async with asked(text_pair.after.url, "tiny-after") as wire:
        with metering() as meter:
            await wire.top(PREFIXES, 5)
            await wire.draft(PREFIXES[0], 4, k=5, temperature=1.0, seed=1)
    cost = meter.cost()
    # The complete token is looked up once a dialect.
    assert (cost.requests, cost.retries) == (3, 0)
    assert cost.input_tokens == sum(map(len, PREFIXES)) + len(PREFIXES[0])
    assert len(PREFIXES) + 1 <= cost.output_tokens <= len(PREFIXES) + 4


async def test_what_the_server_refuses_is_named(text_pair: ServedPair) -> None:
    async with asked(text_pair.after.url, "tiny-after") as wire:
        with pytest.raises(Exception, match=r"tiny-after at http.*HTTP 400.*invalid"):
            await wire.top([(2, 99_999)], 5)
        with pytest.raises(AnswerError, match="does not score ids"):
            await wire.at([(2,)], [(5, 6)], 5)


def rest(checkpoint: Checkpoint, prefix: Ids, k: int) -> float:
    """Probability outside the k most likely."""
    exact = checkpoint.logprobs(list(prefix))
    listed = ranked(checkpoint, prefix, k)
    return 1.0 - math.fsum(math.exp(exact[token].item()) for token in listed)
