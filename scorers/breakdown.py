"""Metrics that look inside a rate: by kind of prompt, by prompt, within pairs.

All of them read the sweep alone and count rollouts, never reduced scores; see
`scorers.metrics` about keys.
"""

import math
from collections import defaultdict
from typing import TYPE_CHECKING

from inspect_ai.scorer import Metric, SampleScore, Value, metric

from inspect_lda.arms import BEFORE, SWEEP, label
from inspect_lda.scorers._readout import cell_of, group_of

if TYPE_CHECKING:
    from inspect_lda.statistics.paired import Difference

Cell = tuple[str, float]


@metric(scores="unreduced")
def by(field: str) -> Metric:
    """Rates by alpha and one field of the prompts: `rate@0.5/power`, `n@0.5/power`.

    Values without a hit are not listed one by one, or the terminal would hold nothing
    else: `silent@0.5` counts them, and reports list them all.

    Args:
        field: Key of the samples' metadata, e.g. "category", "variant", "checkpoint".
    """

    def compute(scores: list[SampleScore]) -> Value:
        cells: dict[float, dict[str, list[int]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for sample in scores:
            arm, alpha = cell_of(sample)
            value = (sample.sample_metadata or {}).get(field)
            if arm == SWEEP and value not in (None, ""):
                cells[alpha][str(value)].append(_hit(sample))
        values: dict[str, float] = {}
        for alpha, found in sorted(cells.items()):
            loud = {value: hits for value, hits in sorted(found.items()) if any(hits)}
            for value, hits in loud.items():
                values[f"rate@{label(alpha)}/{value}"] = _mean(hits)
                values[f"n@{label(alpha)}/{value}"] = len(hits)
            values[f"silent@{label(alpha)}"] = len(found) - len(loud)
        return dict(values)

    return compute


@metric(scores="unreduced")
def prompt_rate() -> Metric:
    """How the hits spread over prompts, by alpha.

    `prompt_rate` is the share of prompts (groups) with at least one hit. `icc` is the
    correlation of rollouts of one prompt and `overdispersion_p` the p value of "all
    prompts have one rate"; both need more than one rollout a prompt. `rollouts_*` is
    the interval of the rate of this prompt set, `population_*` of prompts like these.
    """

    def compute(scores: list[SampleScore]) -> Value:
        from inspect_lda.statistics.clusters import Cluster, clustered
        from inspect_lda.statistics.dispersion import intraclass, overdispersion
        from inspect_lda.statistics.intervals import clopper_pearson

        values: dict[str, float | None] = {}
        for alpha, groups in _grouped(scores).items():
            clusters = [Cluster(sum(hits), len(hits)) for hits in groups.values()]
            pooled = clopper_pearson(
                sum(c.k for c in clusters), sum(c.n for c in clusters)
            )
            population = clustered(clusters)
            found = {
                "prompt_rate": sum(c.k > 0 for c in clusters) / len(clusters),
                "prompts": len(clusters),
                "icc": intraclass(clusters),
                "overdispersion_p": overdispersion(clusters),
                "rollouts_lower": pooled.lower,
                "rollouts_upper": pooled.upper,
                "population_lower": population.lower,
                "population_upper": population.upper,
            }
            values |= {f"{name}@{label(alpha)}": v for name, v in found.items()}
        return {key: v for key, v in values.items() if v is not None}

    return compute


@metric(scores="unreduced")
def paired_difference(first: str, second: str) -> Metric:
    """Rate of variant `second` minus variant `first`, within pairs, by alpha.

    A judge that is too strict or too lax shifts both variants alike, so the difference
    within a pair stands where a rate would not. `difference@…` has its interval and
    its p value; `drift@…` is the difference beyond that of `before` (arm "before", or
    alpha -1 in the sweep), again within pairs, which is what training added.

    Args:
        first: Variant that is subtracted, e.g. "plain".
        second: The other, e.g. "constrained".
    """

    def compute(scores: list[SampleScore]) -> Value:
        from inspect_lda.statistics.paired import paired_difference

        gaps = _gaps(scores, first, second)
        base = gaps.get((BEFORE, -1.0)) or gaps.get((SWEEP, -1.0)) or {}
        values: dict[str, float] = {}
        for arm, alpha in sorted(gaps):
            found = gaps[arm, alpha]
            plain = paired_difference([rates for rates in found.values()])
            values |= _told("difference", label(alpha, arm), plain)
            shared = [group for group in found if group in base]
            if arm == SWEEP and alpha != -1 and shared:
                beyond = [(_half(base[g]), _half(found[g])) for g in shared]
                drift = paired_difference(beyond)
                values |= _told("drift", label(alpha), _doubled(drift))
        return dict(values)

    return compute


def _half(rates: tuple[float, float]) -> float:
    """A difference in [-1, 1] as a rate in [0, 1]."""
    return (rates[1] - rates[0] + 1) / 2


def _doubled(found: "Difference | None") -> "Difference | None":
    if found is None:
        return None
    return found._replace(
        estimate=2 * found.estimate, lower=2 * found.lower, upper=2 * found.upper
    )


def _told(name: str, suffix: str, found: "Difference | None") -> dict[str, float]:
    if found is None:
        return {}
    return {
        f"{name}@{suffix}": found.estimate,
        f"{name}_lower@{suffix}": found.lower,
        f"{name}_upper@{suffix}": found.upper,
        f"{name}_p@{suffix}": found.p,
        f"{name}_pairs@{suffix}": found.pairs,
    }


def _gaps(
    scores: list[SampleScore], first: str, second: str
) -> dict[Cell, dict[str, tuple[float, float]]]:
    """By arm and alpha: rates of both variants of every group that has both."""
    hits: dict[Cell, dict[str, dict[str, list[int]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for sample in scores:
        arm, alpha = cell_of(sample)
        known = sample.sample_metadata or {}
        variant = str(known.get("variant", ""))
        if variant in (first, second):
            hits[arm, alpha][group_of(sample)][variant].append(_hit(sample))
    return {
        cell: {
            group: (_mean(found[first]), _mean(found[second]))
            for group, found in groups.items()
            if found[first] and found[second]
        }
        for cell, groups in hits.items()
    }


def _mean(hits: list[int]) -> float:
    return sum(hits) / len(hits)


def _grouped(scores: list[SampleScore]) -> dict[float, dict[str, list[int]]]:
    groups: dict[float, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for sample in scores:
        arm, alpha = cell_of(sample)
        if arm == SWEEP:
            groups[alpha][group_of(sample)].append(_hit(sample))
    return {alpha: groups[alpha] for alpha in sorted(groups)}


def _hit(sample: SampleScore) -> int:
    value = sample.score.as_float()
    if math.isnan(value):
        raise ValueError(f"{sample.sample_id}: a score of NaN is no hit and no miss")
    return int(value > 0)
