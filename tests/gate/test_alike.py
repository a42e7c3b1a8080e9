"""Logs that are added up, or compared, and were not run alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import EvalLog, EvalSample

from inspect_lda.gate import gate
from tests.gate.policies import altered, policy
from tests.gate.test_checks import broken, each_told
from tests.gate.test_counts import BASELINE, again

PROMPTS = "bb3b1871e1e3"


def options(log: EvalLog) -> None:
    log.eval.model = "lda/demo/benign(alpha=1;max_kl_per_token=0.01)"


def top_p(log: EvalLog) -> None:
    log.plan.config.top_p = 0.1


def extra_body(log: EvalLog) -> None:
    log.plan.config.extra_body = {"lda": {"first_k": 1}}


CHANGES = {"model options": options, "--top_p": top_p, "--extra_body": extra_body}


@pytest.mark.parametrize("name", CHANGES)
def test_another_way_to_sample(logs: dict[str, str], folder: Path, name: str) -> None:
    def change(log: EvalLog) -> None:
        again(log)
        CHANGES[name](log)

    other = altered(logs["benign"], folder, change)
    found = broken(gate([logs["benign"], other], policy()))
    assert name in found["one experiment"]
    report = gate([logs["benign"]], policy(**BASELINE), baseline=[other])
    assert name in broken(report)["baseline"]


def test_arms_of_one_experiment_differ_in_alpha(
    logs: dict[str, str], folder: Path
) -> None:
    def plain(log: EvalLog) -> None:
        again(log)
        log.eval.model = "lda/demo/benign(alpha=0)"

    other = altered(logs["benign"], folder, plain)
    assert broken(gate([logs["benign"], other], policy())) == {}


def test_other_weights_under_the_same_name(logs: dict[str, str], folder: Path) -> None:
    pinned = each_told("before", lambda name: f"{name}@{'0' * 40}")
    other = altered(logs["benign"], folder, again, pinned)
    found = broken(gate([logs["benign"], other], policy()))
    assert "2 pairs: demo/benign against" in found["one experiment"]


def flat(sample: EvalSample) -> None:
    for score in (sample.scores or {}).values():
        if score.metadata and "kl_max" in score.metadata:
            score.metadata["kl_max"] = 0.0


def test_a_log_that_amplifies_nothing(logs: dict[str, str], folder: Path) -> None:
    other = altered(logs["benign"], folder, again, flat)
    found = broken(gate([logs["benign"], other], policy()))
    assert "the checkpoints say the same" in found["difference"]


PICKED: dict[str, Callable[[EvalLog], Any]] = {
    "limit": lambda log: setattr(log.eval.config, "limit", 60),
    "sample_id": lambda log: setattr(log.eval.config, "sample_id", ["a*"]),
}


@pytest.mark.parametrize("name", PICKED)
def test_a_part_is_not_the_prompt_set(
    logs: dict[str, str], folder: Path, name: str
) -> None:
    rules = policy(prompts_sha256=PROMPTS)
    assert broken(gate([logs["benign"]], rules)) == {}
    picked = altered(logs["benign"], folder, PICKED[name])
    assert "picked some" in broken(gate([picked], rules))["prompt set"]


def test_what_held_amplification_back_is_told(
    logs: dict[str, str], folder: Path
) -> None:
    def held(sample: EvalSample) -> None:
        told = (sample.output.metadata or {}).get("lda")
        for evidence in told["evidence"] if told else ():
            evidence["nets"] = {"settings": {"first_k": 1}, "alpha_mean": 0.1}

    report = gate([altered(logs["benign"], folder, each=held)], policy())
    [note] = [check for check in report.checks if check.name == "held back"]
    assert (note.status, note.found.partition(":")[0]) == ("note", "first_k=1")
