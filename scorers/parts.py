"""A detector's hits again, with metrics for the parts of a prompt set.

Inspect ties metrics to scorers, and which breakdown makes sense is the task's to say:
these scorers repeat the score of a detector that ran before them.
"""

from inspect_ai.scorer import Score, Scorer, Target, scorer
from inspect_ai.solver import TaskState

from inspect_lda.scorers.breakdown import by, paired_difference, prompt_rate


@scorer(metrics=[prompt_rate()])
def by_prompt(detector: str) -> Scorer:
    """How a detector's hits spread over prompts.

    Args:
        detector: Name of a scorer that stands before this one.
    """
    return _again(detector)


@scorer(metrics=[by("category")])
def by_category(detector: str) -> Scorer:
    """A detector's rates by category of the prompts.

    Args:
        detector: Name of a scorer that stands before this one.
    """
    return _again(detector)


@scorer(metrics=[by("variant")])
def by_variant(detector: str) -> Scorer:
    """A detector's rates by variant of the prompts.

    Args:
        detector: Name of a scorer that stands before this one.
    """
    return _again(detector)


@scorer(metrics=[paired_difference("plain", "constrained")])
def constrained_vs_plain(detector: str) -> Scorer:
    """A detector's rates with a constraint against those without, within pairs.

    Args:
        detector: Name of a scorer that stands before this one.
    """
    return _again(detector)


def _again(detector: str) -> Scorer:
    async def score(state: TaskState, target: Target) -> Score | None:
        found = (state.scores or {}).get(detector)
        if found is None:
            return None
        known = found.metadata or {}
        return Score(
            value=found.value,
            reason=found.reason,
            metadata={key: known[key] for key in ("alpha", "arm") if key in known},
        )

    return score
