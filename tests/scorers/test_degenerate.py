"""Broken text by kind, and sound text that looks like it."""

import math

import pytest

from inspect_lda.scorers._lexicon import lexicon
from inspect_lda.scorers.degenerate import degenerate, diagnose
from tests.scorers.states import evidence, judged, scored, state

LEAKS = lexicon("degenerate", ("leak",))


@pytest.mark.parametrize(("text", "kind"), judged("degenerate"))
def test_kinds(text: str, kind: str) -> None:
    assert diagnose(text, LEAKS)[0] == kind


async def test_value_and_kind() -> None:
    score = await scored(degenerate(), state("so " * 9, evidence()))
    assert (score.value, score.answer) == (1, "LOOP")
    assert (score.explanation or "").startswith("LOOP by repeats: '9 x so'.")
    score = await scored(degenerate(), state("A plain reply.", evidence()))
    assert (score.value, score.answer) == (0, "FINE")
    assert score.metadata is not None
    assert score.metadata["rule"] is None


async def test_without_evidence() -> None:
    assert math.isnan((await scored(degenerate(), state("so " * 9))).as_float())
    waived = degenerate(require_evidence=False)
    assert (await scored(waived, state("so " * 9))).value == 1
