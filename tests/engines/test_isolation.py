"""A request that fails, or is odd, is no concern of those beside it."""

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
import torch

from inspect_lda.engines.base import Completion, EngineError, Sampling
from inspect_lda.engines.rows import Decoding, RowState
from inspect_lda.engines.sampler import Sampler
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.pair import Pair, PairSpec
from tests.engines.reference import reference_logits
from tests.engines.requests import PROMPTS, request, run, told
from tests.tiny import EOS, save_checkpoint, tiny_model, tiny_tokenizer

EMBEDDING = "model.embed_tokens.weight"
POISON = 77


@pytest_asyncio.fixture
async def engine(spec: PairSpec) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(spec, max_batch=4)
    yield engine
    engine.close()


@pytest.mark.parametrize("sampling", [Sampling(temperature=0), Sampling(seed=1)])
async def test_nan_in_one_row_is_an_error_of_that_row(
    sampling: Sampling, tmp_path: Path
) -> None:
    model = tiny_model(seed=1)
    with torch.no_grad():
        dict(model.named_parameters())[EMBEDDING][POISON] = math.nan
        # Tied to the head: only prompts with the token may see it.
        model.get_output_embeddings().weight = torch.nn.Parameter(
            tiny_model(seed=1).get_output_embeddings().weight, requires_grad=False
        )
    save_checkpoint(tmp_path / "after", model, tiny_tokenizer())
    save_checkpoint(tmp_path / "before", tiny_model(seed=2), tiny_tokenizer())
    engine = TransformersEngine(
        PairSpec(after=f"{tmp_path}/after", before=f"{tmp_path}/before")
    )
    requests = [
        request(prompt, 0.5, 9, replace(sampling, logit_bias={POISON: -100.0}))
        for prompt in (PROMPTS[0], (5, POISON, 6), PROMPTS[1])
    ]
    try:
        got = await asyncio.gather(
            *map(engine.generate, requests), return_exceptions=True
        )
        alone = await engine.generate(requests[0])
    finally:
        engine.close()
    assert isinstance(got[1], EngineError)
    assert "no usable token" in str(got[1])
    assert isinstance(got[0], Completion)
    assert isinstance(got[2], Completion)
    assert got[0].tokens == alone.tokens


@pytest.mark.parametrize("token", [97, 10**12])
async def test_a_bias_on_no_token_is_that_request_s_error(
    engine: TransformersEngine, token: int
) -> None:
    odd = request(sampling=Sampling(logit_bias={token: 1.0}))
    good, bad = await asyncio.gather(
        engine.generate(request()), engine.generate(odd), return_exceptions=True
    )
    assert isinstance(good, Completion)
    assert isinstance(bad, EngineError)
    assert f"token id {token}" in str(bad)


async def test_a_top_k_beyond_any_vocabulary_keeps_all(
    engine: TransformersEngine,
) -> None:
    sampling = Sampling(seed=4)
    huge = replace(sampling, top_k=2**80)
    plain, kept = await run(
        engine, [request(sampling=sampling), request(sampling=huge)]
    )
    assert plain.tokens == kept.tokens


@pytest.mark.parametrize("tokens", [0, 1])
async def test_the_smallest_completions(
    engine: TransformersEngine, tokens: int
) -> None:
    longer, short = await run(engine, [request(), request(max_tokens=tokens)])
    assert len(longer.tokens) == 12
    assert (len(short.tokens), short.stop_reason) == (tokens, "max_tokens")
    assert told(short).n_tokens == tokens


async def test_penalties_count_this_row_s_own_tokens(
    engine: TransformersEngine, pair: Pair
) -> None:
    sampling = Sampling(temperature=0, frequency_penalty=1.5, presence_penalty=0.75)
    asked = [
        request(prompt, alpha, 20, which)
        for which in (sampling, Sampling(temperature=0))
        for prompt, alpha in zip(PROMPTS, (0.5, 1.0, -0.5), strict=True)
    ]
    for one, got in zip(asked, await run(engine, asked), strict=True):
        ids: list[int] = []
        for _ in range(20):
            logits = reference_logits(
                pair.after, pair.before, [*one.prompt, *ids], one.alpha
            )
            logits[EOS] -= 100
            for token in set(ids):
                count = ids.count(token)
                logits[token] -= one.sampling.frequency_penalty * count
                logits[token] -= one.sampling.presence_penalty
            ids.append(int(logits.argmax()))
        assert list(got.tokens) == ids


async def test_biased_and_plain_requests_of_one_prompt(
    engine: TransformersEngine,
) -> None:
    plain = request(sampling=Sampling(temperature=0, logit_bias={40: 0.0}))
    biased = request(sampling=Sampling(temperature=0, logit_bias={40: 100.0}))
    first = await engine.generate(plain)
    # The bias is on a copy: the stored logits of the prompt serve the next request.
    assert (await engine.generate(biased)).tokens == (40,) * 12
    assert (await engine.generate(plain)).tokens == first.tokens


def test_the_sampler_leaves_its_logits_alone() -> None:
    everything = torch.ones(97, dtype=torch.bool)
    decoding = Decoding(tiny_tokenizer(), frozenset({EOS}), 64, "float32", 0)
    row = RowState(request(sampling=Sampling(logit_bias={7: 3.0})), decoding)
    # An identity pair hands in one tensor twice: a bias must not fall on it twice.
    logits = torch.randn(1, 97, generator=torch.Generator().manual_seed(0))
    before = logits.clone()
    Sampler(everything, everything)(logits, logits, [row])
    assert torch.equal(logits, before)
    assert row.log_q == row.log_p_after == row.log_p_before


def test_a_long_stop_string_beside_a_short_one() -> None:
    tokenizer = tiny_tokenizer()
    decoding = Decoding(tokenizer, frozenset({EOS}), 64, "float32", 0)
    row = RowState(request(max_tokens=50), decoding)
    row.request = replace(row.request, stop=("bdfhjlnprtvx", "#"))
    for token in tokenizer("..bdfhjlnprtvx", add_special_tokens=False)["input_ids"]:
        assert not row.done
        row.take(token, [-1.0, -1.0, -1.0, -1.0, 1.0, *[0.0] * 8])
    assert row.stop_reason == "stop"


def test_stop_strings_are_looked_for_in_the_text_as_it_is() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.clean_up_tokenization_spaces = True
    setattr(  # noqa: B010 - as a WordPiece tokenizer does
        tokenizer,
        "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output",
        True,
    )
    ids = tokenizer("a .", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == "a."
    decoding = Decoding(tokenizer, frozenset({EOS}), 64, "float32", 0)
    for stop, reason in (((" .",), "stop"), (("a.",), None), (("a .", "z"), "stop")):
        row = RowState(replace(request(), stop=stop), decoding)
        for token in ids:
            row.take(token, [-1.0, -1.0, -1.0, -1.0, 1.0, *[0.0] * 8])
        assert row.stop_reason == reason
