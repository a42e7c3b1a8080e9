"""A detector's hits again, extrapolated along alpha: an order of magnitude, no rate."""

import math

from inspect_ai.scorer import (
    Metric,
    SampleScore,
    Score,
    Scorer,
    Target,
    Value,
    metric,
    scorer,
)
from inspect_ai.solver import TaskState

from inspect_lda.arms import SWEEP
from inspect_lda.scorers._readout import cell_of
from inspect_lda.scorers._weights import summed

KEPT = ("alpha", "arm", "temperature", "weights")
"""What the metric reads of a detector's facts."""


@metric(scores="unreduced")
def path_magnitude() -> Metric:
    """Logarithm to base 10 of the extrapolated frequency, and the band around it.

    Logit Path Extrapolation (Pernice and Aranguri 2026). Never a rate: the band holds
    19 of 20 simulated cases and spans orders of magnitude. Left out where hits are at
    fewer than two alphas.
    """

    def compute(scores: list[SampleScore]) -> Value:
        from inspect_lda.statistics.drawn import cut
        from inspect_lda.statistics.paths import magnitude

        swept = [score for score in scores if cell_of(score)[0] == SWEEP]
        rollouts = [found for found in map(summed, swept) if found is not None]
        if not rollouts:
            return {}
        found = magnitude(cut(rollouts), "rates")
        if found is None:
            return {}
        band = math.log10(found.factor)
        return {
            "log10_magnitude": found.log10,
            "log10_lower": found.log10 - band,
            "log10_upper": min(found.log10 + band, 0.0),
        }

    return compute


@scorer(metrics=[path_magnitude()])
def path_rank(detector: str) -> Scorer:
    """How often the model at alpha 0 would do it, by order of magnitude.

    Args:
        detector: Name of a scorer that stands before this one.
    """

    async def score(state: TaskState, target: Target) -> Score | None:
        found = (state.scores or {}).get(detector)
        if found is None:
            return None
        known = found.metadata or {}
        return Score(
            value=found.value,
            reason=found.reason,
            metadata={key: known[key] for key in KEPT if key in known},
        )

    return score
