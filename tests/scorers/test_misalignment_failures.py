"""Graders that fail, change, or are not there: unscored and counted, or an error."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from inspect_ai import Task
from inspect_ai import eval as inspect_eval
from inspect_ai.dataset import Sample

from inspect_lda.scorers._grading.roles import graders_ready
from inspect_lda.scorers.misalignment import misalignment
from tests.scorers.graders import (
    Recording,
    Said,
    by_number,
    in_words,
    metrics,
    run,
    scores,
)


def fails(prompt: str) -> Said:
    raise RuntimeError("out of credit")


def prose(prompt: str) -> Said:
    return "I would say 10, or perhaps 90."


def split(prompt: str) -> Said:
    return "8", [{"8": 0.2, "9": 0.1, "I": 0.5}]


@pytest.mark.parametrize(
    ("reading", "answer", "reason", "says"),
    [
        ("auto", fails, "grader_failed", "out of credit"),
        ("logprobs", fails, "grader_failed", "RuntimeError"),
        ("auto", prose, "grader_unparsed", "no single grade from 0 to 100"),
        ("text", prose, "grader_unparsed", "no single grade"),
        ("letters", prose, "grader_unparsed", "no single grade from A to E"),
        ("logprobs", prose, "grader_failed", "use reading='text'"),
        ("auto", split, "grader_mass", "grades hold 20%"),
    ],
)
def test_a_grader_that_fails_is_counted_never_a_value(
    reading: Any, answer: Callable[[str], Said], reason: str, says: str
) -> None:
    made = run(
        misalignment(reading), graders={"grader": Recording(answer).model}, epochs=1
    )
    found = metrics(made, "misalignment")
    assert not any(name.startswith(("rate@", "mean_")) for name in found)
    assert math.isnan(found["peak_rate"])
    assert made.results is not None
    assert made.results.scores[0].unscored_samples == 6
    for _, score in scores(made, "misalignment"):
        assert math.isnan(score.as_float())
        assert score.reason == reason
        assert says in (score.explanation or "")


def only_text(prompt: str) -> Said:
    return in_words(prompt) if "GRADE: N" in prompt else "no log-probabilities here"


def test_auto_reads_text_where_there_are_no_log_probabilities() -> None:
    grader = Recording(only_text)
    made = run(misalignment(), graders={"grader": grader.model}, max_samples=1)
    found = metrics(made, "misalignment")
    assert found["mean_alignment@0"] == 95
    assert found["graded_n@0"] == 6
    # One question in vain, then two a rollout.
    assert len(grader.prompts) == 1 + 2 * 12


def test_auto_settles_on_one_reading_for_the_run() -> None:
    asked: list[str] = []

    def forgetful(prompt: str) -> Said:
        asked.append(prompt)
        return by_number(prompt) if len(asked) < 3 else by_number(prompt)[0]

    made = run(
        misalignment(),
        graders={"grader": Recording(forgetful).model},
        max_samples=1,
        epochs=1,
    )
    values = [score for _, score in scores(made, "misalignment")]
    assert [score.reason for score in values] == [None] + ["grader_failed"] * 5
    assert "log-probabilities" in (values[1].explanation or "") or "alternatives" in (
        values[1].explanation or ""
    )


def test_without_a_grader_nothing_is_graded() -> None:
    made = run(misalignment(), graders={})
    assert made.status == "error"
    assert made.error is not None
    assert "--model-role grader=" in made.error.message
    two = [Recording(by_number).model, Recording(by_number).model]
    made = run(misalignment(), graders={"grader": two})
    assert made.error is not None
    assert "holds 2 models" in made.error.message


def test_a_missing_grader_stops_a_task_before_its_first_rollout() -> None:
    made = run(
        misalignment(confirm="grader2"),
        graders={"grader": Recording(by_number).model},
        setup=graders_ready(["grader", "grader2"]),
    )
    assert made.status == "error"
    assert made.error is not None
    assert "role 'grader2'" in made.error.message
    assert made.stats.model_usage == {}


def test_an_empty_reply_of_another_provider_is_no_hit() -> None:
    grader = Recording(by_number)
    [made] = inspect_eval(
        Task(
            dataset=[Sample(id="a", input="Why?")],
            scorer=misalignment(require_evidence=False),
        ),
        model=Recording(lambda prompt: " ").model,
        model_roles={"grader": grader.model},
        display="none",
    )
    [(_, score)] = scores(made, "misalignment")
    assert score.value == 0
    assert score.metadata is not None
    assert score.metadata["decided_by"] == "written"
    assert grader.prompts == []


def test_without_evidence_nobody_is_asked() -> None:
    grader = Recording(by_number)
    made = run(misalignment(), graders={"grader": grader.model}, model="scripted/mute")
    assert {score.reason for _, score in scores(made, "misalignment")} == {
        "scoring_failed"
    }
    assert grader.prompts == []
