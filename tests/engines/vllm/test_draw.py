"""A pair that draws its tokens says what the transformers engine says."""

from typing import Any

import pytest

from tests.engines.vllm import drawer
from tests.engines.vllm.conftest import Start
from tests.engines.vllm.oracle import Written

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def engine(start: Start, llama: Written) -> Any:
    """The engine that most tests here ask."""
    return start(llama.directory)


def check(report: drawer.Report) -> None:
    assert report.tokens > 0
    assert report.mismatches == 0
    assert report.error < 1e-3
    assert report.extreme_error < 2e-3


def test_a_crowd_of_all_kinds(engine: Any, llama: Written) -> None:
    asked = drawer.requests(32)
    found = [
        drawer.completion(one, drawn, llama.pair)
        for one, drawn in zip(asked, drawer.draw(engine, asked), strict=True)
    ]
    report = drawer.compare(asked, found, drawer.expected(llama.spec, asked))
    print(report)
    check(report)
