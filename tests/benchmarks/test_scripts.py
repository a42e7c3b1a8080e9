"""Memory, other packages, sweeps and devices: each at its smallest size."""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.bandwidth import measured_bandwidth, step_bytes
from benchmarks.decode import main
from benchmarks.evals import PACKAGE
from benchmarks.gpu import gpu
from benchmarks.memory import unique_bytes
from benchmarks.pairs import tiny
from benchmarks.random_pairs import SHAPES, save_random_pair
from benchmarks.sweep import sweep
from inspect_lda.pair import Pair

HERE = importlib.util.find_spec(PACKAGE) is not None
TILT = ("logittilt", "--pair", "tiny", "--prompts", "1", "--tokens", "2")


@pytest.mark.slow  # three processes, each with all imports
def test_memory_is_told_in_models(
    printed: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, before = save_random_pair(tmp_path, "tiny")
    monkeypatch.setenv("INSPECT_LDA_DEMO_BASE", str(before))
    text = printed(main, "memory", "--pair", "tiny")
    found = re.findall(r"│ (one model|tiny) +│ +\d+ +│ +([\d.]+) ", text)
    assert found == [("one model", "1.00"), ("tiny", "2.00")]


def test_shared_memory_counts_once() -> None:
    whole = torch.zeros(10)
    assert unique_bytes([whole, whole[2:], whole.view(2, 5)]) == 40
    assert unique_bytes([whole, whole.clone()]) == 80


@pytest.mark.skipif(HERE, reason="the package is installed")
def test_logittilt_says_how_to_install_it(printed: Callable[..., str]) -> None:
    text = printed(main, *TILT, "--repeat", "1")
    assert "pip install --no-deps inspect-logittilt" in text
    assert len(re.findall(r"│ ours +│ +\d+\.\d\d \(", text)) == 2


@pytest.mark.skipif(not HERE, reason="the package is not installed")
def test_logittilt_is_compared(printed: Callable[..., str]) -> None:
    text = printed(main, *TILT, "--repeat", "1")
    assert len(re.findall(r"│ inspect-logittilt +│ .*│ \d+\.\d\d \(", text)) == 2


def test_logittilt_wants_prompts_nobody_has_seen(printed: Callable[..., str]) -> None:
    assert "Lower one" in printed(main, *TILT, "--repeat", "9999", fails=True)


def test_sweep_prints_how_full_the_batch_was(printed: Callable[..., str]) -> None:
    small = ("--prompts", "2", "--rollouts", "2", "--tokens", "3", "--max-batch", "4")
    text = printed(sweep, *small, "--shape", "tiny")
    found = re.findall(r"│ as .* │ (\d+) +│ (\d+) +│ ([\d.]+) of 4", text)
    assert [rows for rows, _, _ in found] == ["20", "20"]
    for rows, steps, mean in found:
        assert 1 <= float(mean) <= 4
        # A row's first token is drawn before its first step.
        assert int(steps) * float(mean) <= 2 * int(rows) + 0.1 * int(steps)


def test_gpu_runs_on_a_cpu(printed: Callable[..., str]) -> None:
    text = printed(gpu, *_gpu(), "--engine-option", "attn_implementation=eager")
    assert re.search(r"GB/s given, options \{'attn_implementation': 'eager'\}", text)
    assert re.findall(r"^\| (\d) \| [\d,]+ \| [\d.]+ \|", text, re.M) == ["1", "2"]


@pytest.mark.parametrize("option", ["compile", "speed=99"])
def test_gpu_refuses_options_nobody_has(
    printed: Callable[..., str], option: str
) -> None:
    text = printed(gpu, *_gpu(), "--engine-option", option, fails=True)
    assert "--engine-option" in text
    assert "attn_implementation" in text


def test_a_step_reads_weights_once_and_every_cached_token(pair: Pair) -> None:
    shape = SHAPES["tiny"]
    wide, inner = shape["hidden_size"], shape["intermediate_size"]
    kv = wide // shape["num_attention_heads"] * shape["num_key_value_heads"]
    attention = 2 * wide * wide + 2 * wide * kv
    layer = attention + 3 * wide * inner + 2 * wide
    layers = shape["num_hidden_layers"]
    weights = shape["vocab_size"] * wide + layers * layer + wide
    cached = 2 * layers * kv * 3 * 5
    assert step_bytes(pair, rows=3, context=5) == 4 * 2 * (weights + cached)


def test_bandwidth_is_measured() -> None:
    assert 1e8 < measured_bandwidth("cpu") < 1e13


def test_random_pairs_differ_and_are_the_same_every_time() -> None:
    first, second = tiny(), tiny()
    weights = [
        next(model.parameters()) for model in (first.after, second.after, first.before)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def _gpu() -> list[str]:
    size = ["--batches", "1,2", "--prompt", "5", "--tokens", "60", "--repeat", "3"]
    return ["--config", "tiny", "--device", "cpu", "--bandwidth", "10", *size]
