"""Two endpoints are a pair only if their ids mean the same, and stay what they were."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from inspect_lda.engines.api.tokens import barred_ids, end_of_turn_ids
from inspect_lda.engines.api.watch import Watch
from inspect_lda.engines.base import EngineError
from inspect_lda.errors import LDAError
from tests.engines.api.serving import asked, serving_engine
from tests.served.proxy import FaultProxy
from tests.served.servers import ServedPair
from tests.served.vocabularies import served_tokenizer
from tests.tiny import EOS, tiny_tokenizer

PROMPT = (2, 40, 41, 42, 43)


async def test_what_is_known_of_a_pair(text_pair: ServedPair) -> None:
    async with serving_engine(text_pair) as engine:
        pair = await engine.pair()
        assert await engine.pair() is pair
    assert pair.vocabulary == 320
    assert pair.context_length == 512
    assert pair.barred == frozenset()
    assert pair.decoding.eos_ids == {EOS}
    assert pair.after_name == f"{text_pair.after.model} at {text_pair.after.url}"


async def test_vocabularies_of_two_sizes_are_no_pair(
    text_pair: ServedPair, needle_served: ServedPair
) -> None:
    other = {
        "before": needle_served.before.model,
        "before_base_url": needle_served.before.url,
    }
    async with serving_engine(text_pair, **other) as engine:
        with pytest.raises(LDAError, match=r"before: .* has 640 ids, after .* 320"):
            await engine.pair()


async def test_another_tokenizer_is_noticed(
    text_pair: ServedPair, tmp_path: Path
) -> None:
    strange = served_tokenizer("bytes", 320)
    strange.save_pretrained(tmp_path)
    async with serving_engine(text_pair, tokenizer=str(tmp_path)) as engine:
        with pytest.raises(LDAError, match=r"writes the ids of .* -M tokenizer="):
            await engine.pair()


async def test_a_name_without_a_tokenizer_asks_for_one(text_pair: ServedPair) -> None:
    async with serving_engine(text_pair, tokenizer="") as engine:
        with pytest.raises(LDAError, match="-M tokenizer=org/name"):
            await engine.pair()


async def test_a_model_replaced_under_its_name_ends_the_run(
    text_pair: ServedPair,
) -> None:
    with FaultProxy(text_pair.after.root) as proxy:
        async with serving_engine(text_pair, base_url=proxy.url) as engine:
            pair = await engine.pair()
            object.__setattr__(pair, "watch", Watch(pair.sides, every=10))
            first = asked(PROMPT, max_tokens=15, logit_bias={EOS: -100.0})
            assert (await engine.generate(first)).tokens
            proxy.target = text_pair.before.root
            with pytest.raises(EngineError, match="is not the model it was"):
                await engine.generate(first)


async def test_plan_and_ledger_are_told(
    text_pair: ServedPair, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        prices = {"price_in": 1.0, "price_out": 10.0}
        async with serving_engine(text_pair, **prices) as engine:
            request = asked(PROMPT, max_tokens=10, logit_bias={EOS: -100.0})
            rollout = await engine.generate(request)
            await engine.generate(replace(request, alpha=1.0))
    told = [r.getMessage() for r in caplog.records if "engines.api" in r.name]
    plan, ledger = told
    assert "20 requests" in plan
    assert "190 prompt tokens and 20 generated ones, price 0.00039" in plan
    assert rollout.cost is not None
    assert "for 20 tokens" in ledger
    assert "requests a token" in ledger
    assert "price 0.0" in ledger


def test_barred_and_ending_ids(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    assert barred_ids(tokenizer, 100, "here") == {97, 98, 99}
    with pytest.raises(LDAError, match=r"-M tokenizer: .* at id 90"):
        barred_ids(tokenizer, 90, "here")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<end>"]})
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['content'] }}<end>\n{% endfor %}"
    )
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [1, 5]}')
    assert end_of_turn_ids(tokenizer, str(tmp_path)) == {EOS, 5, 97}
    tokenizer.chat_template = None
    assert end_of_turn_ids(tokenizer, str(tmp_path / "none")) == {EOS}


async def test_what_can_not_be_used_is_not_asked_again(text_pair: ServedPair) -> None:
    with FaultProxy(text_pair.after.root) as proxy:
        changes = {"base_url": proxy.url, "after": "another-model"}
        async with serving_engine(text_pair, **changes) as engine:
            with pytest.raises(EngineError, match="does not serve it"):
                await engine.pair()
            asked_so_far = len(proxy.asked)
            with pytest.raises(EngineError, match="does not serve it"):
                await engine.generate(asked(PROMPT))
        assert len(proxy.asked) == asked_so_far
