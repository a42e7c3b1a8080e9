"""Greedy tokens and log-probabilities are those of the float32 reference."""

from pathlib import Path
from typing import Any

import pytest

from tests.engines.vllm import settings
from tests.engines.vllm.conftest import Start
from tests.engines.vllm.oracle import (
    Ask,
    Report,
    Written,
    answers,
    asks,
    compare,
    write,
)

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def engine(start: Start, llama: Written) -> Any:
    """The engine that most tests here ask."""
    return start(llama.directory)


def check(report: Report, tokens: int) -> None:
    assert report.tokens == tokens
    assert report.mismatches == 0
    assert report.error < 1e-3
    assert report.extreme_error < 2e-3
    assert report.prompt_error < 1e-3


def test_a_crowd_of_alphas_and_lengths(engine: Any, llama: Written) -> None:
    asked = asks(32)
    report = compare(llama, asked, answers(engine, asked, 24))
    check(report, 32 * 24)
    assert report.prompt_error > 0, "prompt log-probabilities were compared"


def test_cached_prompts_serve_every_alpha(engine: Any, llama: Written) -> None:
    prompt = tuple(range(10, 90)) * 2
    answers(engine, [Ask(prompt, 1.0)], 1)
    asked = [Ask(prompt, alpha) for alpha in (0.0, -1.0, 0.5, 3.0)]
    outputs = answers(engine, asked, 8)
    assert all(output.num_cached_tokens >= 128 for output in outputs)
    check(compare(llama, asked, outputs), 32)


def test_a_request_does_not_depend_on_its_neighbours(engine: Any) -> None:
    asked = asks(12, seed=3)
    crowd = answers(engine, asked, 12)
    for ask, together in zip(asked, crowd, strict=True):
        [alone] = answers(engine, [ask], 12)
        assert alone.outputs[0].token_ids == together.outputs[0].token_ids


def test_preempted_requests_keep_their_alpha(start: Start, llama: Written) -> None:
    # Room for 24 blocks of 32 tokens: the crowd grows to need 64.
    llm = start(
        llama.directory,
        block_size=32,
        num_gpu_blocks_override=24,
        disable_log_stats=False,
        enable_prefix_caching=False,
    )
    asked = [Ask(ask.prompt[:40], ask.alpha) for ask in asks(16, seed=5)]
    report = compare(llama, asked, answers(llm, asked, 64))
    check(report, 16 * 64)
    metrics = {metric.name: metric for metric in llm.get_metrics()}
    assert metrics["vllm:num_preemptions"].value > 0


@pytest.mark.parametrize("arch", ["qwen2", "gemma2"])
def test_other_architectures(start: Start, tmp_path: Path, arch: str) -> None:
    written = write(tmp_path, arch, **settings.WIDE)
    asked = asks(32, seed=7)
    llm = start(written.directory)
    check(compare(written, asked, answers(llm, asked, 16)), 32 * 16)
