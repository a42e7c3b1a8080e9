"""Pairs inside vLLM on a GPU: CUDA graphs, crowds and two GPUs, the same tokens.

Run them where vLLM for CUDA is installed (`pip install 'inspect_lda[vllm]'`), by
`python -m pytest -m gpu tests/gpu/test_vllm.py`. Everything is float32, so that tokens
may be compared: a product in TF32 would round each shape otherwise.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engines.vllm import settings
from tests.engines.vllm.oracle import Written, answers, asks, compare, write

pytestmark = pytest.mark.gpu

Start = Callable[..., Any]
TOKENS = 16
# Graphs are replayed from pools that both halves use, so batches of many sizes must
# follow one another.
SIZES = (1, 64, 3, 32, 1)


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts engines in this process, all on one GPU."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    vllm = pytest.importorskip("vllm")
    patch = pytest.MonkeyPatch()
    patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    running: list[Any] = []

    def engine(directory: Path, **options: Any) -> Any:
        common = {**settings.ENGINE, "gpu_memory_utilization": 0.2}
        running.append(vllm.LLM(str(directory), **{**common, **options}))
        return running[-1]

    yield engine
    for llm in running:
        llm.llm_engine.engine_core.shutdown()
    patch.undo()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A tiny pair with heads that every attention kernel takes."""
    wide: dict[str, Any] = {
        "hidden_size": 256,
        "intermediate_size": 256,
        "head_dim": 64,
    }
    return write(tmp_path_factory.mktemp("pair"), **wide)


@pytest.fixture(scope="module")
def graphs(start: Start, pair: Written) -> Any:
    """An engine that is compiled and replays CUDA graphs."""
    return start(pair.directory, enforce_eager=False)


def tokens(outputs: list[Any]) -> list[tuple[int, ...]]:
    return [tuple(output.outputs[0].token_ids) for output in outputs]


def test_graphs_are_in_use(graphs: Any) -> None:
    compilation = graphs.llm_engine.vllm_config.compilation_config
    assert compilation.cudagraph_mode.name != "NONE"
    assert compilation.cudagraph_capture_sizes


def test_graphs_say_what_the_reference_says(graphs: Any, pair: Written) -> None:
    asked = asks(64, seed=51)
    report = compare(pair, asked, answers(graphs, asked, TOKENS))
    assert (report.tokens, report.mismatches) == (64 * TOKENS, 0)
    assert report.error < 1e-3
    assert report.extreme_error < 2e-3
    assert 0 < report.prompt_error < 1e-3


def test_graphs_say_what_eager_steps_say(
    start: Start, graphs: Any, pair: Written
) -> None:
    eager = start(pair.directory)
    for seed, size in enumerate(SIZES):
        asked = asks(size, seed=60 + seed)
        expected = tokens(answers(eager, asked, TOKENS))
        assert tokens(answers(graphs, asked, TOKENS)) == expected


def test_a_crowd_changes_nothing(graphs: Any) -> None:
    asked = asks(64, seed=52)
    crowd = tokens(answers(graphs, asked, TOKENS))
    alone = [tokens(answers(graphs, [ask], TOKENS))[0] for ask in asked]
    assert alone == crowd


def test_two_gpus_share_every_layer(start: Start, pair: Written) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip(f"needs 2 CUDA devices, found {torch.cuda.device_count()}")
    both = start(pair.directory, enforce_eager=False, tensor_parallel_size=2)
    asked = asks(32, seed=53)
    report = compare(pair, asked, answers(both, asked, TOKENS))
    assert (report.tokens, report.mismatches) == (32 * TOKENS, 0)
    assert report.error < 1e-3
