"""Compiled steps and CUDA graphs on a GPU: the text of plain steps."""

import dataclasses
import logging

import pytest

from inspect_lda.engines import steps
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.pair import load_pair
from tests.engines.stepping import compiling, drive, requests, tokens
from tests.gpu.conftest import Make

pytestmark = pytest.mark.gpu

MIXED = [(4, 30), (1, 12), (11, 25), (7, 9), (3, 22), (14, 6), (250, 12), (5, 5)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PATIENCE", 0)


@pytest.mark.parametrize("arch", ["llama", "qwen3", "gemma2", "gemma3_text", "gpt2"])
def test_float32_text_is_that_of_plain_steps(
    arch: str, make: Make, gpu: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = "n_positions" if arch == "gpt2" else "max_position_embeddings"
    pair = load_pair(make(arch, {name: 512}, dtype="float32", device=gpu))
    decoder = PairDecoder(compiling(pair), 4)
    with caplog.at_level(logging.WARNING, "inspect_lda"):
        # Twice: the second time every shape is a replay.
        found = [tokens(drive(decoder, requests(MIXED), 4)) for _ in range(2)]
    expected = tokens(drive(PairDecoder(pair), requests(MIXED), 4))
    assert found == [expected, expected]
    assert "not compiled" not in caplog.text
    assert decoder.steps is not None
    assert {256, 512} <= {columns for _, columns in decoder.steps.shapes}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype: str, make: Make, gpu: str) -> None:
    pair = load_pair(make(dtype=dtype, device=gpu))
    decoder = PairDecoder(compiling(pair), 4)
    for row in drive(decoder, requests(MIXED[:6]), 4):
        assert row.error is None
    assert decoder.steps is not None
    assert decoder.steps.shapes


def test_equal_weights_are_flat(make: Make, gpu: str) -> None:
    spec = make(dtype="float16", device=gpu)
    pair = load_pair(dataclasses.replace(spec, before=spec.after))
    for row in drive(PairDecoder(compiling(pair), 4), requests(MIXED[:6]), 4):
        assert row.log_p_after == row.log_p_before


def test_two_gpus(make: Make, gpu: str, second_gpu: str) -> None:
    spec = make(dtype="float32", device=second_gpu, before_device=gpu)
    pair = load_pair(spec)
    found = tokens(drive(PairDecoder(compiling(pair), 4), requests(MIXED[:6]), 4))
    assert found == tokens(drive(PairDecoder(pair), requests(MIXED[:6]), 4))
