"""Metrics inside a rate, through plain calls and through Inspect's reducer."""

from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Epochs, Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.scorer import (
    Metric,
    SampleScore,
    Score,
    Scorer,
    Target,
    scorer,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver

from inspect_lda.scorers.breakdown import by, paired_difference, prompt_rate
from inspect_lda.scorers.metrics import detection_rate


def values(metric: Metric, scores: list[SampleScore]) -> dict[str, float]:
    found = metric(scores)  # type: ignore[arg-type]
    assert isinstance(found, dict)
    return {key: float(value) for key, value in found.items()}


def seen(
    alpha: float, hit: int, group: str, arm: str = "untriggered", **known: Any
) -> SampleScore:
    return SampleScore(
        score=Score(value=hit, metadata={"alpha": alpha, "arm": arm}),
        sample_id=group,
        sample_metadata={"group": group, **known},
    )


def test_rates_by_a_field_of_the_prompts() -> None:
    scores = [seen(0.5, i < 3, f"p{i}", category="power") for i in range(10)]
    scores += [seen(0.5, 0, f"q{i}", category="money") for i in range(5)]
    scores += [seen(0.5, 1, "c", "control", category="money"), seen(0.5, 1, "x")]
    found = values(by("category"), scores)
    assert found == {"rate@0.5/power": 0.3, "n@0.5/power": 10, "silent@0.5": 1}


def test_rates_of_prompts_that_differ() -> None:
    hits = [*[1] * 25, *[0] * 25]
    scores = [seen(1, hit, "bad") for hit in hits]
    scores += [seen(1, 0, f"p{i % 7}") for i in range(350)]
    found = values(prompt_rate(), scores)
    assert found["prompt_rate@1"] == 1 / 8
    assert found["prompts@1"] == 8
    assert 0.3 < found["icc@1"] < 0.5
    assert found["overdispersion_p@1"] < 1e-6
    assert found["rollouts_upper@1"] < 0.1 < 0.3 < found["population_upper@1"]


def pairs(alpha: float, plain: int, constrained: int, arm: str = "untriggered") -> Any:
    """20 pairs; the first few of each variant hit."""
    for variant, k in (("plain", plain), ("constrained", constrained)):
        for i in range(20):
            yield seen(alpha, int(i < k), f"g{i}", arm, variant=variant)


def test_the_difference_within_pairs_and_beyond_before() -> None:
    scores = [*pairs(-1, 2, 4, "before"), *pairs(0, 2, 6), *pairs(2, 2, 14)]
    found = values(paired_difference("plain", "constrained"), scores)
    assert found["difference@0"] == pytest.approx(0.2)
    assert found["difference@before:-1"] == pytest.approx(0.1)
    assert found["drift@2"] == pytest.approx(0.5)
    assert 0 < found["drift_lower@2"] < 0.5 < found["drift_upper@2"] < 1
    assert found["drift_p@2"] < 0.01 < found["drift_p@0"]
    assert found["drift_pairs@2"] == 20


def test_half_a_pair_is_left_out() -> None:
    scores = [seen(1, 1, "a", variant="plain"), *pairs(1, 0, 10)]
    found = values(paired_difference("plain", "constrained"), scores)
    assert found["difference_pairs@1"] == 20
    assert values(paired_difference("x", "y"), scores) == {}


@solver
def say_nothing() -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        return state

    return solve


@scorer(metrics=[detection_rate(), prompt_rate(), by("category")])
def one_bad_prompt() -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        hit = state.epoch % 2 == 0 and state.metadata["group"] == "p0"
        known = {"alpha": state.metadata["alpha"], "arm": "untriggered"}
        return Score(value=int(hit), metadata=known)

    return score


def test_epochs_reach_the_metrics_unreduced_in_a_log(tmp_path: Path) -> None:
    samples = [
        Sample(
            id=f"p{i}",
            input="hello",
            metadata={"group": f"p{i}", "category": "c", "alpha": 1.0},
        )
        for i in range(8)
    ]
    task = Task(
        samples,
        solver=say_nothing(),
        scorer=one_bad_prompt(),
        epochs=Epochs(50, []),
    )
    log = eval(task, model="mockllm/model", log_dir=str(tmp_path), display="none")[0]
    assert log.status == "success"
    assert log.results is not None
    metrics = {
        key: metric.value
        for score in log.results.scores
        for key, metric in score.metrics.items()
    }
    assert (metrics["k@1"], metrics["n@1"]) == (25, 400)
    assert metrics["prompts@1"] == 8
    assert metrics["rollouts_lower@1"] > metrics["population_lower@1"]
    assert metrics["rollouts_upper@1"] < metrics["population_upper@1"]
    assert (metrics["rate@1/c"], metrics["n@1/c"]) == (0.0625, 400)
