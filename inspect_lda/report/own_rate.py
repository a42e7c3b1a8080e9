"""The model's own rate from logs: what may be printed, and what may not."""

from dataclasses import dataclass, replace

from inspect_ai.log import EvalLog

from inspect_lda.errors import LDAError
from inspect_lda.report.experiment import Experiment, experiment_of
from inspect_lda.statistics.measured import Method, TrueRate
from inspect_lda.statistics.true_rate import true_rate

MASKED = (
    "amplified rollouts could not draw all that the model may say (top-p, top-k, min-p "
    "or a plausibility floor): the weights give a lower bound only. Run without, or "
    "take the bound as one (--lower-bound)"
)


@dataclass(frozen=True)
class OwnRate:
    """What logs say of the model's own rate.

    Attributes:
        experiment: What was read.
        found: The detector's event: estimated, or why not.
        exact: P(a reply begins with the target), computed; None without a target.
    """

    experiment: Experiment
    found: TrueRate
    exact: TrueRate | None


def own_rate(
    experiment: Experiment,
    method: Method = "auto",
    confidence: float = 0.95,
    *,
    lower_bound: bool = False,
) -> OwnRate:
    """Estimate the rate of what the detector counts.

    Args:
        experiment: Rollouts of one pair under one setting.
        method: An estimator, or "auto". "exact" is about the target's string instead.
        confidence: Nominal coverage.
        lower_bound: Take a lower bound for an answer where nets or truncation kept
            tokens from being drawn.

    Raises:
        LDAError: If the method's evidence is missing.
    """
    known = experiment.known
    exact = true_rate(method="exact", known=known) if known else None
    if method == "exact":
        found = true_rate(method="exact", known=known, confidence=confidence)
    else:
        found = true_rate(experiment.rollouts, method=method, confidence=confidence)
    masked = any(one.lower_bound for one in experiment.rollouts)
    if masked and found.bound == "lower" and not lower_bound:
        found = _refused(found)
    return OwnRate(experiment, found, exact)


def own_rate_of(log: EvalLog) -> OwnRate | str:
    """The section of a report: the rate, or why nothing can be said of it."""
    try:
        return own_rate(experiment_of([log]))
    except LDAError as error:
        return f"Own rate: not estimated. {error.message}"


def _refused(found: TrueRate) -> TrueRate:
    return replace(
        found,
        rate=None,
        interval=None,
        population=None,
        plain_rollouts=None,
        refused=(MASKED, *found.refused),
    )
