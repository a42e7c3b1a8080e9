"""The other model runner, and models spread over workers: the same tokens."""

from typing import Any

import pytest

from tests.engines.vllm.driver import drive
from tests.engines.vllm.oracle import Written

pytestmark = pytest.mark.vllm

TENSOR: dict[str, Any] = {
    "tensor_parallel_size": 2,
    "distributed_executor_backend": "mp",
}
PIPELINE: dict[str, Any] = {
    "pipeline_parallel_size": 2,
    "distributed_executor_backend": "mp",
}

DRAWS = 8
"""Requests whose tokens the pair draws itself."""


# V2's kernels are interpreted here, so it gets fewer tokens.
@pytest.mark.parametrize(
    ("runner", "options", "asks", "tokens"),
    [("v2", {}, 8, 8), ("v1", TENSOR, 32, 16), ("v2", PIPELINE, 8, 8)],
    ids=["v2", "v1-tensor-parallel", "v2-pipeline-parallel"],
)
def test_tokens_are_those_of_the_reference(
    llama: Written, runner: str, options: dict[str, Any], asks: int, tokens: int
) -> None:
    pytest.importorskip("vllm")
    root = llama.directory.parent
    report = drive(root, runner, options=options, asks=asks, tokens=tokens, draws=DRAWS)
    assert report["v2"] == (runner == "v2")
    assert (report["tokens"], report["mismatches"]) == (asks * tokens, 0)
    assert report["error"] < 1e-3
    assert report["extreme_error"] < 2e-3
    assert 0 < report["prompt_error"] < 1e-3
    assert report["drawn_tokens"] > 50
    assert report["drawn_mismatches"] == 0
    assert max(report["drawn_error"], report["drawn_extreme_error"]) < 1e-3
    assert max(report["score_error"], report["follow_error"]) < 1e-3
