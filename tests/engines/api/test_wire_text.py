"""Continuing by text on a real server: exact, or an error that names the place."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from inspect_lda.engines.api.connect import LocalTokenizer
from inspect_lda.engines.api.dialect import Ids
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import AnswerError, UnknownToken
from inspect_lda.engines.api.probe import probe, verdict
from inspect_lda.engines.api.wire import speak
from inspect_lda.engines.api.wire.base import Wire
from tests.engines.api.asking import NATS, furthest, ranked
from tests.served.servers import ServedPair
from tests.tiny import UNK

K = 5


@pytest_asyncio.fixture
async def wire(text_pair: ServedPair) -> AsyncIterator[Wire]:
    """The text dialect on llama.cpp's OpenAI route, which takes text as well."""
    endpoint = Endpoint(text_pair.after.url, "tiny-after", retries=0)
    tokenizer = LocalTokenizer(text_pair.pair.tokenizer)
    able = await probe(endpoint, "text-completions", tokenizer)
    assert verdict(able) == "exact on text without re-tokenisation", able
    assert not able.token_ids
    assert not able.drafts
    assert any("tokenised anew" in problem for problem in able.problems)
    yield speak(endpoint, able, tokenizer)
    endpoint.close()


def ids(pair: ServedPair, text: str) -> Ids:
    """How the pair's tokenizer reads a text."""
    return LocalTokenizer(pair.pair.tokenizer).encode(text)


async def test_text_that_means_its_tokens_is_continued_exactly(
    wire: Wire, text_pair: ServedPair
) -> None:
    for text in ("HI, THERE", "12 + 34 = 46", "(A)"):
        prefix = ids(text_pair, text)
        [listing] = await wire.top([prefix], K)
        assert listing.top == K
        assert furthest(listing, text_pair.pair.after, prefix) < NATS


async def test_text_that_would_be_tokenised_anew_is_refused(
    wire: Wire, text_pair: ServedPair
) -> None:
    merged = ids(text_pair, "ab")
    apart = ids(text_pair, "a") + ids(text_pair, "b")
    assert len(merged) == 1
    await wire.top([ids(text_pair, "HI,") + merged], K)
    with pytest.raises(AnswerError, match=r"differently from token 3 on \('ab'\)"):
        await wire.top([ids(text_pair, "HI,") + apart], K)


async def test_a_text_of_several_tokens_is_no_id(
    wire: Wire, text_pair: ServedPair
) -> None:
    """All special tokens of this server read as nothing."""
    texts = [f"({number})" for number in range(200)]
    with_special = next(
        text
        for text in texts
        if min(ranked(text_pair.pair.after, ids(text_pair, text), 20)) <= UNK
    )
    with pytest.raises(UnknownToken, match="by the text '', which 0 tokens have"):
        await wire.top([ids(text_pair, with_special)], 20)


async def test_without_a_tokenizer_or_with_drafts_it_is_refused(
    wire: Wire, text_pair: ServedPair
) -> None:
    able = await probe(wire.endpoint, "text-completions")
    assert not able.exact
    assert "with the model's tokenizer" in verdict(able)
    with pytest.raises(AnswerError, match="not possible: prompts are text only"):
        speak(wire.endpoint, able)
    with pytest.raises(AnswerError, match="draft=0"):
        await wire.draft((40,), 2, k=K, temperature=1.0, seed=1)
