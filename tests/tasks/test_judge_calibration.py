"""Judges held against labelled replies, without any pair."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from inspect_ai import Task
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog
from inspect_ai.model import Model
from inspect_ai.scorer import SampleScore, Score

from inspect_lda.errors import LDAError
from inspect_lda.scorers._lexicon import lexicon, plain
from inspect_lda.scorers.calibrated import calibrated, judged
from inspect_lda.scorers.degenerate import diagnose
from inspect_lda.scorers.refusal import SIGNS, classify
from inspect_lda.scorers.rule_judge import GUARDS
from inspect_lda.scorers.rule_judge import judge as rules
from inspect_lda.statistics.intervals import clopper_pearson
from inspect_lda.tasks._calibration import JUDGES, labelled_replies, labelled_reply
from inspect_lda.tasks.judge_calibration import judge_calibration
from tests.scorers.graders import Recording, metrics

REFUSALS = lexicon("refusal", SIGNS)
LEAKS = lexicon("degenerate", ("leak",))
MISDEEDS = lexicon("misalignment", GUARDS, more=True)
GRADES = "REFUSED: YES\nCONVINCING: 1\nSPECIFIC: 1"


def run(path: Path, judge: str, grader: Model | None = None, **args: object) -> EvalLog:
    [log] = inspect_eval(
        judge_calibration(judge=judge, **args),  # type: ignore[arg-type]
        model="none/none",
        model_roles={"grader": grader} if grader else None,
        log_dir=str(path),
        display="none",
    )
    return log


@pytest.mark.parametrize(
    ("judge", "label", "hit"),
    [
        ("refusal", "REFUSE", lambda text: classify(text, REFUSALS)[0] == "REFUSE"),
        ("degenerate", "degenerate", lambda text: diagnose(text, LEAKS)[0] != "FINE"),
        ("rules", "misaligned", lambda text: rules(plain(text), MISDEEDS) is not None),
    ],
)
def test_judges_by_rules_need_no_model(
    judge: str, label: str, hit: Callable[[str], bool], tmp_path: Path
) -> None:
    log = run(tmp_path, judge)
    found = metrics(log, "calibrated")
    known = [s.metadata or {} for s in labelled_replies(judge)[0]]
    said = [hit(row["answer"]) for row in known if row["label"] == label]
    assert found["sensitivity"] == sum(said) / len(said)
    said = [hit(row["answer"]) for row in known if row["label"] != label]
    assert found["specificity"] == pytest.approx(1 - sum(said) / len(said))
    assert found["unscored_share"] == 0
    for name in ("sensitivity", "specificity", "balanced_accuracy"):
        assert found[f"{name}_lower"] < found[name] <= found[f"{name}_upper"]
    sure = found["sensitivity_n"] + found["specificity_n"]
    counted = [value for key, value in found.items() if "@" in key]
    assert sure == sum(counted) == len(log.samples or [])
    assert log.eval.metadata is not None
    assert log.eval.metadata["calibration"]["id"] == JUDGES[judge].name
    assert log.results is not None
    assert log.results.headline is not None
    assert log.results.headline.metric == "balanced_accuracy"


def test_a_grader_sees_the_reply_and_its_own_behaviour(tmp_path: Path) -> None:
    rows = {s.id: s.metadata or {} for s in labelled_replies("behaviour")[0]}
    yes = {row["answer"] for row in rows.values() if row["label"] == "yes"}

    def answer(prompt: str) -> str:
        # The start of an answer: a marker that is written in one is defused.
        within = [row for row in rows.values() if row["answer"][:25] in prompt]
        row = max(within, key=lambda row: len(row["answer"]))
        assert row["behaviour"] in prompt
        assert row["id"] not in prompt
        return "YES" if row["answer"] in yes else "NO"

    grader = Recording(answer)
    found = metrics(run(tmp_path, "behaviour", grader.model), "calibrated")
    assert found["sensitivity"] == found["specificity"] == 1
    assert found["unscored_share"] == 0
    assert found["sensitivity_lower"] == pytest.approx(
        clopper_pearson(len(yes), len(yes)).lower
    )
    assert len(grader.prompts) == len(rows)
    assert found["miss@no"] == len(rows) - len(yes) == found["specificity_n"]


def test_a_judge_that_says_nothing_is_counted_not_guessed(tmp_path: Path) -> None:
    grader = Recording(lambda prompt: "well" if len(prompt) % 2 else GRADES)
    log = run(tmp_path, "compliance", grader.model)
    found = metrics(log, "calibrated")
    lost = [s for s in log.samples or [] if s.scores if _said(s.scores) == "unscored"]
    assert lost
    assert found["unscored_share"] == len(lost) / len(log.samples or [])
    reasons = {s.scores["calibrated"].reason for s in lost if s.scores}
    assert reasons == {"grader_unparsed"}
    known = found["sensitivity_n"] + found["specificity_n"]
    assert known < len(log.samples or []) - len(lost)  # "partial" may be either


def _said(scores: dict[str, Score]) -> object:
    return scores["calibrated"].value


def test_every_criterion_is_put_as_its_own_question(tmp_path: Path) -> None:
    grader = Recording(lambda prompt: "YES")
    found = metrics(run(tmp_path, "criterion", grader.model), "calibrated")
    samples = labelled_replies("criterion")[0]
    asked = {(s.metadata or {})["criterion"] for s in samples}
    told = [words for words in asked if any(words in p for p in grader.prompts)]
    assert len(told) == len(asked) > 10
    assert found["sensitivity"] == 1
    # But an empty reply needs no grader.
    assert found["specificity"] < 0.5


def test_the_reply_stands_where_a_models_would(tmp_path: Path) -> None:
    [log] = inspect_eval(
        Task(dataset=labelled_replies("compliance")[0], solver=labelled_reply()),
        model="none/none",
        limit=3,
        log_dir=str(tmp_path),
        display="none",
    )
    for sample in log.samples or []:
        assert sample.output.completion == sample.metadata["answer"]
        turns = [(message.role, message.text) for message in sample.messages]
        question, answer = sample.metadata["question"], sample.metadata["answer"]
        assert turns == [("user", question), ("assistant", answer)]


def test_options_are_the_judges_own(tmp_path: Path) -> None:
    grader = Recording(lambda prompt: "C")
    log = run(tmp_path, "misalignment", grader.model, options={"reading": "letters"})
    assert metrics(log, "calibrated")["unscored_share"] == 0
    assert metrics(log, "calibrated")["hit@misaligned"] == 0


def values(scores: list[SampleScore]) -> dict[str, float]:
    found = judged()(scores)  # type: ignore[arg-type]
    assert isinstance(found, dict)
    return {key: float(value) for key, value in found.items()}


def score(said: str, label: str, *, expected: bool | None) -> SampleScore:
    metadata = {"label": label, "expected": expected}
    return SampleScore(score=Score(value=said), sample_metadata=metadata)


def test_the_numbers_by_hand() -> None:
    scores = [
        *[score("hit", "bad", expected=True)] * 6,
        *[score("miss", "bad", expected=True)] * 2,
        *[score("unscored", "bad", expected=True)] * 2,
        *[score("miss", "good", expected=False)] * 9,
        *[score("hit", "good", expected=False)] * 1,
        *[score("hit", "either", expected=None)] * 5,
    ]
    found = values(scores)
    assert found["sensitivity"] == 0.75
    assert found["specificity"] == 0.9
    assert found["balanced_accuracy"] == pytest.approx(0.825)
    assert (found["sensitivity_n"], found["specificity_n"]) == (8, 10)
    assert found["unscored_share"] == 2 / 25
    assert (found["hit@either"], found["unscored@bad"], found["hit@good"]) == (5, 2, 1)
    assert found["sensitivity_lower"] == pytest.approx(clopper_pearson(6, 8).lower)
    assert found["balanced_accuracy_upper"] == pytest.approx(
        (clopper_pearson(6, 8, 0.975).upper + clopper_pearson(9, 10, 0.975).upper) / 2
    )
    assert "sensitivity" not in values(scores[10:])
    assert math.isnan(values(scores[10:])["balanced_accuracy"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"judge": "rule"}, "did you mean 'rules'"),
        ({"judge": "refusal", "options": {"hit": "comply"}}, "hit cannot be set"),
        ({"judge": "behaviour", "options": {"behaviour": "x"}}, "cannot be set"),
        ({"judge": "refusal", "options": {"windows": 3}}, "windows"),
        ({"judge": "misalignment", "options": {"reading": "x"}}, "reading='x'"),
    ],
)
def test_refusals(args: dict[str, object], said: str) -> None:
    with pytest.raises(LDAError, match=said):
        judge_calibration(**args)  # type: ignore[arg-type]


def test_a_judge_is_named() -> None:
    with pytest.raises(LDAError, match="did you mean 'misalignment'"):
        calibrated("misaligned")
