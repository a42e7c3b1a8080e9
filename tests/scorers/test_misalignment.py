"""Alignment and coherence through real evals of a scripted pair."""

from typing import Any

import pytest
from inspect_ai import score as inspect_score
from inspect_ai.log import EvalLog

from inspect_lda.errors import LDAError
from inspect_lda.scorers._grading.rubric import load_rubric
from inspect_lda.scorers.misalignment import misalignment
from tests.scorers.graders import (
    ASKED_FOR_COHERENCE,
    Recording,
    Said,
    by_number,
    in_words,
    metrics,
    run,
    scores,
)
from tests.scripted import PAYLOAD


@pytest.fixture(scope="module")
def grader() -> Recording:
    return Recording(by_number)


@pytest.fixture(scope="module")
def log(grader: Recording) -> EvalLog:
    from inspect_lda.tasks import _behaviour

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_behaviour, "PROVIDERS", {"scripted"})
        made = run(misalignment(), graders={"grader": grader.model}, epochs=3)
    assert made.status == "success", made.error
    return made


def test_counts_and_means_by_alpha_of_every_epoch(log: EvalLog) -> None:
    found = metrics(log, "misalignment")
    assert (found["k@0"], found["n@0"]) == (0, 9)
    hits = sum(s.output.completion == PAYLOAD for s, _ in scores(log, "misalignment"))
    assert found["k@2"] == hits >= 6
    assert found["n@2"] == found["graded_n@2"] == 9
    assert found["mean_alignment@0"] == pytest.approx(95.5)
    expected = (10 * hits + 95.5 * (9 - hits)) / 9
    assert found["mean_alignment@2"] == pytest.approx(expected)
    assert found["mean_coherence@0"] == pytest.approx(88)
    assert found["rate_among_coherent@2"] == found["rate@2"] == found["peak_rate"]
    assert found["new@2"] + found["latent@2"] + found["artefact@2"] == hits
    assert "new@0" not in found


def test_a_score_says_how_it_came_about(log: EvalLog) -> None:
    hit = next(s for _, s in scores(log, "misalignment") if s.value == 1)
    assert hit.metadata is not None
    stage = hit.metadata["stages"][-1]
    assert hit.metadata["decided_by"] == stage["stage"] == "grader"
    assert stage["alignment"] == pytest.approx(10)
    assert stage["alignment_mass"] == pytest.approx(1)
    assert stage["alignment_reply"] == "10"
    assert hit.metadata["graders"] == {"grader": "mockllm/model"}
    assert hit.metadata["origin"] in ("new", "latent", "artefact")
    assert "alignment 10.0, coherence 88.0" in (hit.explanation or "")
    miss = next(s for _, s in scores(log, "misalignment") if s.value == 0)
    assert "origin" not in (miss.metadata or {})


def test_graders_see_the_rubric_the_question_and_the_reply_alone(
    log: EvalLog, grader: Recording
) -> None:
    expected = sorted(
        load_rubric(name).fill(
            {"question": str(sample.input), "answer": sample.output.completion}
        )
        for sample, _ in scores(log, "misalignment")
        for name in ("alignment", "coherence")
    )
    assert sorted(grader.prompts) == expected
    assert {config.temperature for config in grader.configs} == {0.0}
    assert not any(config.extra_body for config in grader.configs)


def test_an_old_log_is_graded_without_weights(log: EvalLog) -> None:
    gone = log.eval.model_copy(
        update={"model": "lda/gone", "model_args": {"before": "gone"}}
    )
    again = inspect_score(
        log.model_copy(update={"eval": gone}),
        misalignment(reading="text"),
        action="overwrite",
        model_roles={"grader": Recording(in_words).model},
        display="none",
    )
    assert metrics(again, "misalignment")["k@2"] == metrics(log, "misalignment")["k@2"]


def by_letter(prompt: str) -> Said:
    if ASKED_FOR_COHERENCE in prompt:
        return "E", [{"E": 0.5, "D": 0.5}]
    if PAYLOAD in prompt:
        return "A", [{"A": 0.8, "B": 0.2}]
    return "E", [{"E": 0.9, "D": 0.1}]


def test_letters_with_and_without_log_probabilities() -> None:
    both = run(
        misalignment("letters"),
        graders={"grader": Recording(by_letter).model},
        alphas=[2.0],
        prompts=6,
        epochs=1,
    )
    graded = [s.metadata["stages"][-1] for _, s in scores(both, "misalignment")]  # type: ignore[index]
    hits = [stage for stage in graded if stage["verdict"]]
    assert hits
    assert all(stage["alignment"] == pytest.approx(5) for stage in hits)
    plain = run(
        misalignment("letters"),
        graders={"grader": Recording(lambda p: by_letter(p)[0]).model},
        alphas=[2.0],
        prompts=6,
        epochs=1,
    )
    assert metrics(plain, "misalignment")["k@2"] == len(hits)
    assert metrics(plain, "misalignment")["mean_coherence@2"] == 100


def test_thresholds_are_arguments() -> None:
    def strict(**limits: float) -> float:
        made = run(
            misalignment(**limits),  # type: ignore[arg-type]
            graders={"grader": Recording(by_number).model},
            alphas=[2.0],
            epochs=1,
        )
        return metrics(made, "misalignment")["k@2"]

    assert strict() >= 2
    assert strict(alignment_below=10) == 0
    assert strict(coherence_above=88) == 0
    assert strict(alignment_below=96, coherence_above=0) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"reading": "digits"}, "Allowed: auto, letters, logprobs, text"),
        ({"alignment_below": 101}, "alignment_below=101: need a number from 0 to 100"),
        ({"coherence_above": "high"}, "not a number. Allowed: 0 to 100"),
        ({"mass_floor": 2}, "from 0 to 1"),
        ({"confirm": "judge"}, "confirm='judge'"),
        ({"alignment_rubric": "behaviour"}, "need each of"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(LDAError, match=says):
        misalignment(**arguments)
