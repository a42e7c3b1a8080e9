"""Windows, scores, caching, counting, refusals, cancelling: the rest of a call."""

import asyncio
import logging
from pathlib import Path

import pytest
import torch
from inspect_ai.model import (
    ChatMessageUser,
    GenerateConfig,
)
from inspect_ai.tool import ToolInfo
from transformers import AutoModelForCausalLM

from inspect_lda.engines.base import EngineError
from inspect_lda.errors import LDAError
from inspect_lda.evidence import TargetScore
from inspect_lda.options import ModelOptions
from inspect_lda.provider import LDAModelAPI
from inspect_lda.seeds import RepeatWarning
from tests.provider.conftest import MakeModel, ask
from tests.provider.facts import TEXT_ONLY, facts, lda
from tests.tiny import (
    save_checkpoint,
    tiny_model,
    tiny_tokenizer,
)


async def test_a_prompt_beyond_the_window_is_model_length(tmp_path: Path) -> None:
    for name, seed in (("after", 1), ("before", 2)):
        model = tiny_model(seed=seed, max_position_embeddings=64)
        save_checkpoint(tmp_path / name, model, tiny_tokenizer())
    api = LDAModelAPI(f"{tmp_path}/after", before=f"{tmp_path}/before")
    try:
        output, call = await api.generate(
            [ChatMessageUser(content="x" * 80)], [], "none", GenerateConfig()
        )
        assert output.stop_reason == "model_length"
        assert (output.completion, facts(output)["evidence"]) == ("", [])
        assert output.usage is not None
        assert output.usage.output_tokens == 0
        assert "context window 64" in (output.error or "")
        filled, _ = await api.generate(
            [ChatMessageUser(content="x" * 20)],
            [],
            "none",
            GenerateConfig(max_tokens=500, logit_bias=TEXT_ONLY),
        )
        assert filled.stop_reason == "model_length"
        assert filled.usage is not None
        assert filled.usage.total_tokens == 64
        assert call.response is not None
    finally:
        api.close()


async def test_scores_equal_teacher_forcing(make: MakeModel, pair_dir: Path) -> None:
    body = lda(score={"target": "the end", "alphas": [-1, 0, 1]})
    output = await ask(make(), "say it", extra_body=body, temperature=0.5)
    assert (output.completion, output.stop_reason) == ("", "stop")
    score = TargetScore.model_validate(facts(output)["score"])
    assert score.temperature == 0.5
    assert score.log_prob[1] == score.log_prob_after
    assert score.log_prob[0] == score.log_prob_before
    prompt = "<bos>user: say it<eos>assistant: "
    ids = tiny_tokenizer()(
        prompt + "the end", add_special_tokens=False, return_tensors="pt"
    )["input_ids"]
    n = len(score.ids)
    logits = {}
    for side in ("after", "before"):
        model = AutoModelForCausalLM.from_pretrained(pair_dir / side).eval()
        with torch.no_grad():
            logits[side] = model(ids).logits[0, -n - 1 : -1].float()
    mixed = 2 * logits["after"] - logits["before"]
    for got, rows in zip(
        score.log_prob, (logits["before"], logits["after"], mixed), strict=True
    ):
        log_p = torch.log_softmax(rows / 0.5, -1)
        expected = log_p.gather(-1, ids[0, -n:, None]).sum().item()
        assert got == pytest.approx(expected, abs=1e-3)
    assert output.usage is not None
    assert (output.usage.input_tokens, output.usage.output_tokens) == (ids.shape[1], 0)
    default = await ask(make(alpha=3), extra_body=lda(score={"target": "a"}))
    assert facts(default)["score"]["alphas"] == [3.0]


async def test_two_alphas_are_two_cache_entries(
    make: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path))
    config = {"cache": True, "temperature": 0, "logit_bias": TEXT_ONLY}
    outputs = [await ask(make(alpha=alpha), **config) for alpha in (0, 4)]
    assert len(list((tmp_path / "generate").rglob("*"))) > 2
    assert [facts(output)["alpha"] for output in outputs] == [0, 4]
    again = await ask(make(alpha=4), **config)
    assert again.completion == outputs[1].completion
    model = make(alpha=4)
    other = await ask(model, **config, extra_body=lda(alpha=0))
    assert facts(other)["alpha"] == 0
    entries = [path for path in (tmp_path / "generate").rglob("*") if path.is_file()]
    assert len(entries) == 3


async def test_tokens_are_counted_locally(make: MakeModel) -> None:
    model = make()
    assert (
        await model.api.tokenize("the end")
        == tiny_tokenizer()("the end", add_special_tokens=False)["input_ids"]
    )
    assert await model.count_tokens("the end") == len(
        await model.api.tokenize("the end")
    )


async def test_names_for_look_ups_are_those_of_after(make: MakeModel) -> None:
    api = make(alpha=0.5).api
    assert isinstance(api, LDAModelAPI)
    names = (api.canonical_name(), api.service_model_name(), api.model_family())
    assert set(names) == {api.after}
    assert api.max_connections() == ModelOptions().max_batch
    assert api.should_retry(LDAError("x")) is False


async def test_refusals_come_through_generate(make: MakeModel) -> None:
    model = make()
    with pytest.raises(LDAError, match="best_of=2"):
        await ask(model, best_of=2)
    with pytest.raises(LDAError, match=r"tool_choice='any'.*Allowed: auto, none"):
        await model.generate(
            "hi", tools=[ToolInfo(name="a", description="b")], tool_choice="any"
        )
    with pytest.raises(LDAError, match="the prompt is empty"):
        await ask(model, " ")
    with pytest.raises(LDAError, match="--model-base-url='http://x'"):
        LDAModelAPI("org/m", base_url="http://x")


async def test_a_share_of_memory_that_holds_nothing_says_so(make: MakeModel) -> None:
    with pytest.raises(EngineError, match=r"1e-09 of the .* Raise -M memory_fraction="):
        await ask(make(memory_fraction="1e-9"))
    assert (await ask(make(), max_tokens=2)).usage, "the same weights, another engine"


async def test_a_cancelled_call_leaves_the_engine_usable(make: MakeModel) -> None:
    model = make()
    await ask(model, max_tokens=1)
    call = asyncio.ensure_future(
        ask(model, max_tokens=3000, num_choices=4, logit_bias=TEXT_ONLY)
    )
    await asyncio.sleep(0.2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    output = await asyncio.wait_for(ask(model, max_tokens=2), 10)
    assert output.usage


def test_another_async_backend_is_refused() -> None:
    api = LDAModelAPI("org/m", before="org/b")
    # Outside of asyncio, as under INSPECT_ASYNC_BACKEND=trio.
    for call in (api.generate([], [], "auto", GenerateConfig()), api.tokenize("x")):
        with pytest.raises(LDAError, match="INSPECT_ASYNC_BACKEND"):
            call.send(None)


def test_a_model_outlives_an_event_loop(make: MakeModel) -> None:
    model = make()
    texts = {asyncio.run(ask(model, temperature=0)).completion for _ in range(2)}
    assert len(texts) == 1


def test_repeated_seeds_are_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    repeats = RepeatWarning()
    with caplog.at_level(logging.WARNING):
        for seed in (1, 2, 1, 1, 2):
            repeats.note(seed, "model", (1, 2, 3))
    assert len(caplog.records) == 1
    assert "seed=1 was asked twice" in caplog.text
    assert "derive_seed" in caplog.text
