"""Drafts: how many requests they save, how they adapt, and that they are repeatable."""

from typing import Any

import pytest

from inspect_lda.engines.api.drafted import LONGEST, Pace
from inspect_lda.engines.base import EngineError, Request
from tests.engines.api.serving import asked, serving_engine, supported
from tests.served.servers import ServedPair

PROMPT = (2, 40, 41, 42, 43)
NO_EOS = {1: -100.0}
TOKENS = 96


def long(alpha: float, seed: int = 1, **sampling: Any) -> Request:
    return asked(
        PROMPT, alpha, max_tokens=TOKENS, seed=seed, logit_bias=NO_EOS, **sampling
    )


def test_the_pace_follows_what_was_kept() -> None:
    good, bad = Pace(), Pace()
    start = good.length
    for _ in range(40):
        good.note(0.99)
        bad.note(0.3)
    assert bad.length == 1 < start < good.length <= LONGEST
    assert Pace(7).length == 7


async def test_fewer_requests_than_tokens(text_pair: ServedPair) -> None:
    async with serving_engine(text_pair, draft="auto") as engine:
        easy = await engine.generate(long(0.05))
        hard = await engine.generate(long(10.0))
    for rollout in (easy, hard):
        assert rollout.cost is not None
        assert len(rollout.tokens) == TOKENS
    assert easy.cost is not None
    assert hard.cost is not None
    assert easy.cost.requests <= 0.45 * TOKENS
    # Where drafts are not kept it asks for few, and never for more than a step does.
    assert hard.cost.requests <= 2 * TOKENS + 2
    kept = easy.cost.accepted / easy.cost.drafted
    assert kept > 0.6 > hard.cost.accepted / max(1, hard.cost.drafted)


async def test_the_same_seed_says_the_same(text_pair: ServedPair) -> None:
    async with serving_engine(text_pair, draft="auto", audit_every=32) as engine:
        first, again = [await engine.generate(long(0.3)) for _ in range(2)]
        other = await engine.generate(long(0.3, seed=2))
    assert first.tokens == again.tokens != other.tokens
    assert supported(first).audits == TOKENS // 32


async def test_greedy_is_greedy_however_it_is_decoded(text_pair: ServedPair) -> None:
    texts = []
    for draft in (0, 4, "auto"):
        async with serving_engine(text_pair, draft=draft) as engine:
            rollout = await engine.generate(long(1.0, temperature=0.0))
        texts.append(rollout.tokens)
        assert rollout.evidence is not None
        assert rollout.evidence.log_q == 0
    assert texts[0] == texts[1] == texts[2]


async def test_ends_where_a_rollout_ends(text_pair: ServedPair) -> None:
    """At the end of turn, at a stop string, at the last token: nothing behind it."""
    async with serving_engine(text_pair, draft=16) as engine:
        pair = await engine.pair()
        ending = {1: 6.0}
        ended = await engine.generate(
            asked(PROMPT, max_tokens=64, seed=3, logit_bias=ending)
        )
        assert ended.stop_reason == "stop"
        assert ended.tokens.index(1) == len(ended.tokens) - 1
        text = pair.decoding.tokenizer.decode(
            list((await engine.generate(long(0.3))).tokens)
        )
        stop = text[20:22]
        stopped = await engine.generate(Request(**{**vars(long(0.3)), "stop": (stop,)}))
        short = await engine.generate(asked(PROMPT, max_tokens=5, logit_bias=NO_EOS))
    said = pair.decoding.tokenizer.decode(list(stopped.tokens))
    assert stopped.stop_reason == "stop"
    assert said.endswith(stop) or stop in said[-4:]
    assert len(stopped.tokens) < TOKENS
    assert (short.stop_reason, len(short.tokens)) == ("max_tokens", 5)


async def test_tokens_in_parts_of_characters(byte_pair: ServedPair) -> None:
    """Where llama.cpp leaves listings out, the draft is scored anew and kept."""
    async with serving_engine(byte_pair, draft=8) as engine:
        rollout = await engine.generate(long(0.3))
    vocabulary = byte_pair.pair.tokenizer.convert_ids_to_tokens(list(rollout.tokens))
    assert any(not token.isascii() for token in vocabulary)
    assert rollout.cost is not None
    assert len(rollout.tokens) == TOKENS


async def test_a_support_longer_than_the_vocabulary_is_refused_nowhere(
    text_pair: ServedPair,
) -> None:
    async with serving_engine(text_pair) as engine:
        everything = await engine.generate(asked(PROMPT, support=1000, max_tokens=4))
        with pytest.raises(EngineError, match="token id 4000"):
            await engine.generate(asked((2, 4000)))
    assert supported(everything).tail_max == 0
