"""The provider over the real engine: what comes back from one generate call."""

import asyncio
import math
from pathlib import Path

import pytest
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageUser,
)

from inspect_lda import engines
from inspect_lda.evidence import evidence_of
from inspect_lda.provider import LDAModelAPI
from tests.provider.conftest import MakeModel, ask
from tests.provider.facts import TEXT_ONLY, facts, lda
from tests.tiny import (
    EOS,
    tiny_tokenizer,
)


async def test_what_a_completion_carries(make: MakeModel, pair_dir: Path) -> None:
    model = make(alpha=0.5)
    output = await ask(model, "the end", seed=3, logit_bias=TEXT_ONLY)
    assert output.stop_reason == "max_tokens"
    assert output.model == model.name
    assert model.name == f"{pair_dir}/after(alpha=0.5;before={pair_dir}/before)"
    prompt = "<bos>user: the end<eos>assistant: "
    size = len(tiny_tokenizer()(prompt, add_special_tokens=False)["input_ids"])
    assert output.usage is not None
    assert (output.usage.input_tokens, output.usage.output_tokens) == (size, 8)
    assert output.usage.total_tokens == size + 8
    known = facts(output)
    assert known["alpha"] == 0.5
    assert known["coefficients"] == {"after": 1.5, "before": -0.5}
    assert known["after"].endswith("after")
    assert known["before"].endswith("before")
    assert known["engine"] == "transformers"
    evidence = evidence_of(output.metadata)
    assert (evidence.alpha, evidence.seed, evidence.n_tokens) == (0.5, 3, 8)
    assert evidence.per_token is not None
    ids = [int(i) for i in evidence.per_token.unpack()["ids"]]
    assert tiny_tokenizer().decode(ids) == output.completion


async def test_alpha_by_model_arg_and_by_request_agree(make: MakeModel) -> None:
    by_arg = await ask(make(alpha=2), seed=1, temperature=0.7)
    model = make(alpha="0")
    by_request = await ask(
        model, seed=1, temperature=0.7, extra_body=lda(alpha=2, evidence="summary")
    )
    plain = await ask(model, seed=1, temperature=0.7)
    assert by_arg.completion == by_request.completion != plain.completion
    assert facts(by_request)["alpha"] == 2
    assert facts(plain)["coefficients"] == {"after": 1.0, "before": 0.0}
    assert evidence_of(by_request.metadata).per_token is None


async def test_alphas_share_one_engine_and_one_pool(make: MakeModel) -> None:
    models = [make(alpha=alpha) for alpha in (0, 1)]
    apis = [model.api for model in models]
    assert apis[0].connection_key() == apis[1].connection_key()
    await asyncio.gather(*(ask(model, max_tokens=1) for model in models))
    assert isinstance(apis[0], LDAModelAPI)
    assert isinstance(apis[1], LDAModelAPI)
    engine = apis[0]._engine
    assert engine is apis[1]._engine
    apis[0].close()
    assert (await ask(models[1], max_tokens=1)).usage
    apis[1].close()
    assert all(shared.engine is not engine for shared in engines._shared.values())


async def test_seeds_are_literal_and_choices_have_their_own(make: MakeModel) -> None:
    model = make()
    first = await ask(model, seed=5, num_choices=4)
    texts = [choice.message.text for choice in first.choices]
    assert len(set(texts)) == 4
    seeds = [evidence_of(first.metadata, i).seed for i in range(4)]
    assert seeds[0] == 5
    assert len(set(seeds)) == 4
    again = await ask(model, seed=5, num_choices=4)
    assert [choice.message.text for choice in again.choices] == texts
    assert (await ask(model, seed=seeds[2])).completion == texts[2]
    free = [await ask(model) for _ in range(2)]
    assert len({evidence_of(output.metadata).seed for output in free}) == 2
    assert first.usage is not None
    assert first.usage.output_tokens == sum(
        evidence_of(first.metadata, i).n_tokens for i in range(4)
    )


async def test_temperature_zero_is_argmax(make: MakeModel) -> None:
    model = make(alpha=1)
    texts = {(await ask(model, temperature=0, seed=s)).completion for s in (1, 2)}
    assert len(texts) == 1
    top_1 = await ask(model, top_k=1)
    small_p = await ask(model, top_p=1e-6)
    min_p = await ask(model, extra_body=lda(min_p=0.999))
    assert {top_1.completion, small_p.completion, min_p.completion} == texts


async def test_bias_and_penalties(make: MakeModel) -> None:
    model = make()
    tokenizer = tiny_tokenizer()
    only = tokenizer.convert_tokens_to_ids("e")
    same = await ask(model, logit_bias={only: 100}, temperature=0)
    assert same.completion == "e" * 8
    for penalty in ("frequency_penalty", "presence_penalty"):
        plain = await ask(model, temperature=0, logit_bias={only: 3, **TEXT_ONLY})
        punished = await ask(
            model, temperature=0, logit_bias={only: 3, **TEXT_ONLY}, **{penalty: 2}
        )
        assert punished.completion.count("e") <= plain.completion.count("e")
        assert punished.completion != plain.completion


async def test_logprobs_are_those_of_the_sampled_tokens(make: MakeModel) -> None:
    output = await ask(
        make(alpha=1), seed=11, logprobs=True, top_logprobs=3, logit_bias=TEXT_ONLY
    )
    logprobs = output.choices[0].logprobs
    assert logprobs is not None
    assert "".join(step.token for step in logprobs.content) == output.completion
    evidence = evidence_of(output.metadata)
    assert evidence.log_q == pytest.approx(
        sum(step.logprob for step in logprobs.content), abs=1e-4
    )
    for step in logprobs.content:
        assert step.bytes == list(step.token.encode())
        assert step.top_logprobs is not None
        assert len(step.top_logprobs) == 3
        best = [top.logprob for top in step.top_logprobs]
        assert best == sorted(best, reverse=True)
        assert step.logprob <= best[0] + 1e-6
    bare = await ask(make(), logprobs=True, max_tokens=2)
    assert bare.choices[0].logprobs is not None
    assert bare.choices[0].logprobs.content[0].top_logprobs is None
    assert (await ask(make(), max_tokens=2)).choices[0].logprobs is None


async def test_no_impossible_alternatives_in_logprobs(make: MakeModel) -> None:
    output = await ask(make(), logprobs=True, top_logprobs=5, top_k=2, max_tokens=3)
    assert output.choices[0].logprobs is not None
    for step in output.choices[0].logprobs.content:
        assert step.top_logprobs is not None
        assert all(math.isfinite(top.logprob) for top in step.top_logprobs)


async def test_stop_strings_are_trimmed(make: MakeModel) -> None:
    model = make()
    whole = await ask(model, seed=2, max_tokens=20, logit_bias=TEXT_ONLY)
    stop = whole.completion[5:7]
    cut = await ask(
        model, seed=2, max_tokens=20, logit_bias=TEXT_ONLY, stop_seqs=["€", stop]
    )
    assert cut.completion == whole.completion[: whole.completion.index(stop)]
    assert cut.stop_reason == "stop"
    assert cut.usage is not None
    assert 0 < cut.usage.output_tokens < 20


async def test_end_of_turn_is_a_stop_and_no_text(make: MakeModel) -> None:
    output = await ask(make(), logit_bias={EOS: 100}, logprobs=True)
    assert (output.completion, output.stop_reason) == ("", "stop")
    assert output.usage is not None
    assert output.usage.output_tokens == 1  # the end of turn was sampled
    assert output.choices[0].logprobs is not None
    assert output.choices[0].logprobs.content[0].token == "<eos>"


async def test_a_continued_message_gives_only_the_new_text(make: MakeModel) -> None:
    messages = [ChatMessageUser(content="hi"), ChatMessageAssistant(content="Well, ")]
    output = await ask(make(), messages, temperature=0, logit_bias=TEXT_ONLY)
    evidence = evidence_of(output.metadata)
    assert evidence.per_token is not None
    ids = [int(i) for i in evidence.per_token.unpack()["ids"]]
    assert output.completion == tiny_tokenizer().decode(ids)
