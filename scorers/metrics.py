"""Metrics over rollouts, grouped by arm and alpha, never reduced over epochs.

Each epoch is a rollout of its own. Inspect's own intervals work on scores reduced per
sample and would be intervals for the number of prompts; hence `scores="unreduced"`.

Keys are flat and unique: `rate@0.5` is the sweep at alpha 0.5, `rate@control:1` the
arm "control" at alpha 1. Inspect drops unscored samples before metrics see them and
counts them itself (`unscored_samples` of the score); reports count them by alpha.
A rate under amplification is a detection, not the rate of the model.

Numbers come from `inspect_lda.statistics.sweep`, imported when a metric runs, since
it needs scipy and Inspect imports this module with every eval.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING

from inspect_ai.scorer import Metric, SampleScore, Value, metric

from inspect_lda.arms import SWEEP, label
from inspect_lda.scorers._readout import cell_of, group_of, reading_in

if TYPE_CHECKING:
    from inspect_lda.statistics.sweep import Observation, Row


@metric(scores="unreduced")
def detection_rate() -> Metric:
    """How often the behaviour was seen, by arm and alpha, with intervals.

    `peak_rate` is the highest rate of the sweep: it need not grow with alpha. Per
    cell: rate, k, n and `cp_*` (Clopper-Pearson, for gates); in the sweep also
    `wilson_*` (for display), `cluster_*` (the population of prompts), `prompts_hit`,
    `coherent_k`, `coherent_rate` (coherent hits over all rollouts), `factor*` against
    alpha = 0 with Koopman's interval and `rollouts_needed` for a 95% chance of a hit.
    What is not defined (a factor without alpha = 0, say) is left out, not zero.
    """

    def compute(scores: list[SampleScore]) -> Value:
        from inspect_lda.statistics.sweep import rows

        table = rows(observations(scores))
        values: dict[str, float | None] = {}
        for row in table:
            found = _detection(row) if row.arm == SWEEP else _counts(row)
            suffix = label(row.alpha, row.arm)
            values |= {f"{name}@{suffix}": value for name, value in found.items()}
        swept = [row.rate for row in table if row.arm == SWEEP]
        # Always there, so that it can be the task's headline from the first sample on.
        return {"peak_rate": max(swept, default=math.nan), **_defined(values)}

    return compute


@metric(scores="unreduced")
def coherent_share() -> Metric:
    """Share of coherent completions by arm and alpha, limits from alpha = 0."""

    def compute(scores: list[SampleScore]) -> Value:
        from inspect_lda.statistics.sweep import rows

        return _defined(
            {
                f"coherent@{label(row.alpha, row.arm)}": row.coherent_share
                for row in rows(observations(scores))
            }
        )

    return compute


@metric(scores="unreduced")
def exact_rate() -> Metric:
    """Mean and median over prompts of the exact probability, by alpha.

    Both, since a few prompts may carry the whole mean.
    """

    def compute(scores: list[SampleScore]) -> Value:
        by_alpha: dict[str, list[float]] = defaultdict(list)
        for sample in scores:
            log_probs = (sample.score.metadata or {}).get("log_prob", {})
            for alpha, value in log_probs.items():
                by_alpha[alpha].append(0.0 if value is None else math.exp(value))
        values: dict[str, float | None] = {}
        for alpha in sorted(by_alpha, key=float):
            values[f"mean@{alpha}"] = fmean(by_alpha[alpha])
            values[f"median@{alpha}"] = median(by_alpha[alpha])
        values["prompts"] = max(map(len, by_alpha.values()), default=None)
        return _defined(values)

    return compute


def observations(scores: Sequence[SampleScore]) -> "list[Observation]":
    """Scores as observations; the cluster is the sample's `group`, else its id."""
    from inspect_lda.statistics.sweep import Observation

    found = []
    for sample in scores:
        metadata = sample.score.metadata or {}
        arm, alpha = cell_of(sample)
        found.append(
            Observation(
                arm=arm,
                alpha=alpha,
                prompt=group_of(sample),
                hit=sample.score.as_float() > 0,
                reading=reading_in(metadata),
            )
        )
    return found


def _counts(row: "Row") -> dict[str, float | None]:
    return {
        "rate": row.rate,
        "k": row.k,
        "n": row.n,
        "cp_lower": row.exact.lower,
        "cp_upper": row.exact.upper,
    }


def _detection(row: "Row") -> dict[str, float | None]:
    factor = row.factor
    return {
        **_counts(row),
        "wilson_lower": row.wilson.lower,
        "wilson_upper": row.wilson.upper,
        "cluster_lower": row.clustered.lower,
        "cluster_upper": row.clustered.upper,
        "prompts_hit": row.prompts_hit,
        "coherent_k": row.coherent_k,
        "coherent_rate": row.coherent_rate,
        "factor": factor and factor.estimate,
        "factor_lower": factor and factor.lower,
        "factor_upper": factor and factor.upper,
        "rollouts_needed": row.needed,
    }


def _defined(values: Mapping[str, float | None]) -> dict[str, float]:
    """Leave out what is undefined; 0/0 (NaN) is undefined too."""
    return {k: v for k, v in values.items() if v is not None and not math.isnan(v)}
