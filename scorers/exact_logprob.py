"""The probability of a known string, exactly: one forward pass, no rollouts."""

import math

from inspect_ai.scorer import Score, Scorer, Target, scorer
from inspect_ai.solver import TaskState

from inspect_lda.arms import EXACT, label
from inspect_lda.evidence import TargetScore
from inspect_lda.scorers._readout import is_rollout, unscored
from inspect_lda.scorers.metrics import exact_rate


@scorer(metrics=[exact_rate()])
def exact_logprob() -> Scorer:
    """Log-probability (natural) that a completion begins with the target, by alpha.

    The value is a dict such as `{"log_p@0": -9.9, "log_p@1": -3.8}`; a null stands for
    minus infinity. It was taken by teacher forcing while the task ran (the solver
    stores it in the output), so scoring again needs no model. Only samples of the arm
    "exact" have one.
    """

    async def score(state: TaskState, target: Target) -> Score | None:
        scored = (state.output.metadata or {}).get("lda", {}).get("score")
        if scored is None and (is_rollout(state) or state.epoch > 1):
            return None  # a rollout, or an epoch that would repeat the same number
        try:
            found = checked_score(scored)
        except ValueError as error:
            return unscored(state, error)
        values = {
            label(alpha): log_prob
            for alpha, log_prob in zip(found.alphas, found.log_prob, strict=True)
        }
        return Score(
            value={log_p(float(alpha)): value for alpha, value in values.items()},
            answer=found.target,
            explanation=_explain(found),
            metadata={
                "arm": EXACT,
                "target": found.target,
                "temperature": found.temperature,
                "log_prob": values,
                "log_prob_after": found.log_prob_after,
                "log_prob_before": found.log_prob_before,
            },
        )

    return score


def log_p(alpha: float) -> str:
    """Key of the value at an alpha."""
    return f"log_p@{label(alpha)}"


def checked_score(scored: object) -> TargetScore:
    """Read a stored teacher-forced score.

    Raises:
        ValueError: If it is missing, damaged or no log-probability.
    """
    if scored is None:
        raise ValueError(
            "this sample carries no teacher-forced score (ModelOutput.metadata['lda']"
            "['score']): does the engine support scoring a target?"
        )
    found = TargetScore.model_validate(scored)
    if len(found.alphas) != len(found.log_prob):
        raise ValueError(
            f"{len(found.log_prob)} log-probabilities for {len(found.alphas)} alphas"
        )
    for alpha, value in zip(found.alphas, found.log_prob, strict=True):
        if value is not None and not (math.isfinite(value) and value <= 1e-6):
            raise ValueError(f"log P at alpha={alpha} is {value}: need a number <= 0")
    return found


def _explain(found: TargetScore) -> str:
    listed = ", ".join(
        f"{0.0 if value is None else math.exp(value):.3g} at alpha {alpha:g}"
        for alpha, value in zip(found.alphas, found.log_prob, strict=True)
    )
    return (
        f"P(completion begins with {found.target!r}) at temperature "
        f"{found.temperature:g}: {listed}."
    )
