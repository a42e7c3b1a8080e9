"""The completions dialect on a real server: llama.cpp's OpenAI route names ids too."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from inspect_lda.engines.api.dialect import Ids
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import AnswerError
from inspect_lda.engines.api.limits import vocabulary
from inspect_lda.engines.api.probe import probe, verdict
from inspect_lda.engines.api.wire import speak
from inspect_lda.engines.api.wire.ask import groups
from inspect_lda.engines.api.wire.base import Wire
from tests.engines.api.asking import NATS, furthest, ranked
from tests.served.servers import ServedPair

PREFIXES: list[Ids] = [(2, 40, 41), (2, 50), (60, 61, 62, 63, 64), (7,)]


@pytest_asyncio.fixture
async def wire(text_pair: ServedPair) -> AsyncIterator[Wire]:
    """The dialect for servers that nobody knows."""
    endpoint = Endpoint(text_pair.after.url, "tiny-after", retries=0)
    able = await probe(endpoint, "openai-compatible")
    assert verdict(able) == "exact", able
    yield speak(endpoint, able)
    endpoint.close()


async def test_it_reads_what_transformers_says(
    wire: Wire, text_pair: ServedPair
) -> None:
    for k in (20, None):
        for prefix, listing in zip(PREFIXES, await wire.top(PREFIXES, k), strict=True):
            assert listing.whole == (k is None)
            best = ranked(text_pair.pair.after, prefix, 20)
            assert list(listing.logprobs)[:20] == best
            assert furthest(listing, text_pair.pair.after, prefix) < NATS


async def test_what_the_route_cannot_do_is_found(wire: Wire) -> None:
    """The server counts the tokens of the first prompt only, so they are sent alone."""
    assert not wire.able.many_prompts
    assert not wire.able.drafts
    assert wire.able.scores_ids == 0
    with pytest.raises(AnswerError, match="cannot be told to sample from"):
        await wire.draft((2,), 3, k=5, temperature=1.0, seed=1)


async def test_the_vocabulary_is_found_by_what_prompts_may_hold(
    wire: Wire, text_pair: ServedPair
) -> None:
    assert await vocabulary(wire) == len(text_pair.pair.tokenizer)


def test_groups_hold_no_more_ids_than_a_request_takes() -> None:
    pairs: list[tuple[Ids, Ids]] = [((1,), (1, 2)), ((2,), (2, 3)), ((3,), (4, 5))]
    sizes = {n: [len(group) for group in groups(pairs, n)] for n in (0, 2, 3, 4, 5)}
    assert sizes == {0: [1, 1, 1], 2: [1, 1, 1], 3: [2, 1], 4: [2, 1], 5: [3]}
    assert groups([], 5) == []
