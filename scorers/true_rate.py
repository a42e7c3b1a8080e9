"""The model's own rate, from amplified rollouts: a number only where it is valid."""

import math

from inspect_ai.scorer import Metric, SampleScore, Value, metric

from inspect_lda.arms import SWEEP
from inspect_lda.errors import LDAError
from inspect_lda.scorers._readout import cell_of
from inspect_lda.scorers._weights import summed


@metric(scores="unreduced")
def true_rate() -> Metric:
    """How often the model itself does it, estimated from the rollouts of the sweep.

    `true_rate` and its interval are there only where the validity rule of
    `statistics.validity` holds and nothing kept tokens from being drawn. The
    diagnostics are always there: hits, `hit_ess` (how many hits of equal weight they
    are worth), `largest_share` of the heaviest and the `plain_*` check at alpha 0.
    Without weights in the scores there is nothing at all. `inspect-lda rate LOG` says
    more: why not, and what would make it so.
    """

    def compute(scores: list[SampleScore]) -> Value:
        from inspect_lda.statistics.drawn import cut
        from inspect_lda.statistics.true_rate import true_rate as estimate

        swept = [score for score in scores if cell_of(score)[0] == SWEEP]
        rollouts = [found for found in map(summed, swept) if found is not None]
        if not rollouts or len(rollouts) < len(swept):
            return {}
        try:
            found = estimate(cut(rollouts))
        except LDAError:
            return {}  # of a run that is not finished: a prompt lacks an alpha yet
        values: dict[str, float] = {"true_rate_valid": 0}
        if found.diagnostics is not None:
            told = found.diagnostics
            values |= {
                "true_rate_hits": told.hits,
                "true_rate_hit_ess": told.hit_ess,
                "true_rate_largest_share": told.largest,
                "true_rate_plain_k": told.plain.k,
                "true_rate_plain_n": told.plain.n,
            }
        if found.rate is None or found.interval is None or found.bound == "lower":
            return dict(values)
        values |= {
            "true_rate_valid": 1,
            "true_rate": found.rate,
            "true_rate_lower": found.interval.lower,
            "true_rate_upper": found.interval.upper,
        }
        plain = found.plain_rollouts
        if plain is not None and math.isfinite(plain):
            values["true_rate_plain_needed"] = plain
        return dict(values)

    return compute
