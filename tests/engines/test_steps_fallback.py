"""Steps that can not be compiled run plain, with the reason; rows stay independent."""

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from inspect_lda.engines import steps
from inspect_lda.engines.block import Block
from inspect_lda.engines.compiled import CompiledParts
from inspect_lda.engines.composite import AmplifiedLM
from inspect_lda.engines.steps import CompiledSteps
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.pair import Pair, PairSpec, load_pair
from tests.engines.stepping import Counting, compiling, drive, requests, tokens
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer

MIXED = [(4, 3), (1, 12), (11, 5), (7, 9)]
POISON = 96
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PATIENCE", 0)


def failing(error: Exception) -> Callable[..., Any]:
    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        raise error

    return backend


def wrong(graph: torch.fx.GraphModule, inputs: Any) -> Any:
    def run(*args: Any) -> Any:
        return tuple(one + 0.5 for one in graph.forward(*args))

    return run


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (failing(ValueError("no kernel for this")), "no kernel for this"),
        (wrong, "compiled logits are off by 0.5"),
    ],
)
def test_the_reason_is_logged_and_the_text_is_the_same(
    backend: Callable[..., Any],
    reason: str,
    pair: Pair,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = requests(MIXED)
    decoder = PairDecoder(compiling(pair), 3, backend)
    with caplog.at_level(logging.WARNING, "inspect_lda"):
        found = drive(decoder, asked, 3)
    assert tokens(found) == tokens(drive(PairDecoder(pair), asked, 3))
    [record] = [one for one in caplog.records if one.name.startswith("inspect_lda")]
    assert record.getMessage().startswith("decode steps are not compiled: ")
    assert reason in record.getMessage()
    assert type(decoder.new_cache().layers[0]).__name__ == "GrowingLayer"


def test_memory_that_runs_out_is_no_reason_to_go_on(pair: Pair) -> None:
    short = failing(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"))
    with pytest.raises(RuntimeError, match="out of memory"):
        drive(PairDecoder(compiling(pair), 3, short), requests(MIXED), 3)


def test_models_that_can_not_be_compiled_say_so_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model: Any = AmplifiedLM(tiny_model(seed=1), tiny_model(seed=2))
    model.after.config.layer_types = ["linear_attention"] * 2
    with caplog.at_level(logging.WARNING, "inspect_lda"):
        CompiledSteps(model, 3, 256)
        model.after.config.layer_types = None
        model.after.hf_device_map = {"model": "cuda:0", "lm_head": "cuda:1"}
        CompiledSteps(model, 3, 256)
    assert "layers with a recurrent state" in caplog.messages[0]
    assert "several places (cuda:0, cuda:1)" in caplog.messages[1]


def test_nan_stays_in_its_row(tmp_path: Path) -> None:
    model = tiny_model(seed=1)
    with torch.no_grad():
        dict(model.named_parameters())["model.embed_tokens.weight"][POISON] = math.nan
    save_checkpoint(tmp_path / "after", model, tiny_tokenizer())
    save_checkpoint(tmp_path / "before", tiny_model(seed=2), tiny_tokenizer())
    pair = load_pair(
        PairSpec(str(tmp_path / "after"), str(tmp_path / "before"), device="cpu")
    )
    asked = requests([(20, 4), (5, 30), (4, 30), (20, 4), (3, 9), (20, 4), (6, 9)])
    for index in (0, 3, 5):
        # Drawn first, and fed in the step after: NaN states reach the block.
        bias = {**asked[index].sampling.logit_bias, POISON: 1000.0}
        sampling = replace(asked[index].sampling, logit_bias=bias)
        asked[index] = replace(asked[index], sampling=sampling)
    decoder = PairDecoder(compiling(pair), 3, Counting())
    found = drive(decoder, asked, 3)
    assert [row.error is not None for row in found] == [
        index in (0, 3, 5) for index in range(7)
    ]
    assert [len(found[index].tokens) for index in (0, 3, 5)] == [1, 1, 1]
    expected = drive(PairDecoder(pair), asked, 3)
    assert tokens(found) == tokens(expected)
    assert decoder.steps is not None
    assert decoder.steps.shapes


def test_more_shapes_than_torch_compiles_of_one_function() -> None:
    backend = Counting()
    parts = CompiledParts(CPU, backend)

    class Doubling(nn.Module):
        def forward(self, past_key_values: Any, x: torch.Tensor) -> Any:
            return (2 * x,)

    model = Doubling()
    for rows in range(1, 13):
        run = parts.begin(Block(rows, 256, [], AmplifiedLM.new_cache, CPU))  # type: ignore[arg-type]
        for _ in range(2):
            found = run(model, None, x=torch.ones(rows))
            assert torch.equal(found, torch.full((rows,), 2.0))
    assert len(backend.graphs) == 12
