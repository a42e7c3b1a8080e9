"""From rollouts to one row per arm and alpha: the table that logs and reports share.

Metrics (`scorers/metrics.py`) and reports (`report/`) both call `rows`, so a number
in `inspect view` and the same number in a report cannot differ.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inspect_lda.arms import SWEEP
from inspect_lda.statistics.clusters import Cluster, clustered
from inspect_lda.statistics.coherence import Limits, Reading, limits_of
from inspect_lda.statistics.factors import Factor, amplification_factor
from inspect_lda.statistics.intervals import Interval, clopper_pearson, wilson
from inspect_lda.statistics.rates import rollouts_needed


@dataclass(frozen=True)
class Observation:
    """One scored rollout.

    Attributes:
        arm: What was done to the prompt or model, e.g. "untriggered".
        alpha: Amplification.
        prompt: Cluster key: the prompt, or the group of prompts, it belongs to.
        hit: Whether the behaviour was seen.
        reading: For coherence; None if the rollout carries no evidence.
    """

    arm: str
    alpha: float
    prompt: str
    hit: bool
    reading: Reading | None


@dataclass(frozen=True)
class Row:
    """What the rollouts of one arm at one alpha say.

    Attributes:
        arm: The arm.
        alpha: The amplification.
        k: Hits.
        n: Scored rollouts.
        exact: Clopper-Pearson interval of the rate on this prompt set.
        wilson: Wilson interval of the same, for display.
        prompts: Distinct prompts.
        prompts_hit: Distinct prompts with a hit.
        clustered: Interval of the rate in the population of prompts.
        coherent: Coherent rollouts; None if any rollout lacks a reading.
        coherent_k: Hits that are coherent; None likewise.
        factor: Rate over the rate of the sweep at alpha = 0; None for that row
            itself, for control arms and for sweeps without alpha = 0.
        needed: Rollouts for a 95% chance of a hit at this rate; None without hits.
    """

    arm: str
    alpha: float
    k: int
    n: int
    exact: Interval
    wilson: Interval
    prompts: int
    prompts_hit: int
    clustered: Interval
    coherent: int | None
    coherent_k: int | None
    factor: Factor | None
    needed: float | None

    @property
    def rate(self) -> float:
        """Hits over rollouts. Under amplification a detection, not the model's rate."""
        return self.k / self.n

    @property
    def coherent_rate(self) -> float | None:
        """Coherent hits over all rollouts.

        Incoherent rollouts stay in the denominator: were they dropped, an alpha that
        breaks all text but one hit would show a rate of 1.
        """
        return None if self.coherent_k is None else self.coherent_k / self.n

    @property
    def coherent_share(self) -> float | None:
        """Coherent rollouts over all rollouts."""
        return None if self.coherent is None else self.coherent / self.n


def rows(observations: Iterable[Observation]) -> list[Row]:
    """One row per arm and alpha: the sweep first, by alpha, then the controls."""
    cells: dict[tuple[str, float], list[Observation]] = defaultdict(list)
    for seen in observations:
        cells[seen.arm, seen.alpha].append(seen)
    base = cells.get((SWEEP, 0.0), [])
    limits = coherence_limits(base)
    order = sorted(cells, key=lambda cell: (cell[0] != SWEEP, *cell))
    return [_row(*cell, cells[cell], base, limits) for cell in order]


def coherence_limits(observations: Iterable[Observation]) -> Limits:
    """The limits of a run: from its sweep at alpha = 0."""
    return limits_of(
        [
            seen.reading
            for seen in observations
            if (seen.arm, seen.alpha) == (SWEEP, 0.0) and seen.reading is not None
        ]
    )


def _row(
    arm: str,
    alpha: float,
    cell: Sequence[Observation],
    base: Sequence[Observation],
    limits: Limits,
) -> Row:
    k, n = sum(seen.hit for seen in cell), len(cell)
    prompts: dict[str, list[bool]] = defaultdict(list)
    for seen in cell:
        prompts[seen.prompt].append(seen.hit)
    readings = [seen.reading for seen in cell if seen.reading is not None]
    judged = len(readings) == n
    hits = [seen.reading for seen in cell if seen.hit and seen.reading is not None]
    return Row(
        arm=arm,
        alpha=alpha,
        k=k,
        n=n,
        exact=clopper_pearson(k, n),
        wilson=wilson(k, n),
        prompts=len(prompts),
        prompts_hit=sum(any(hits) for hits in prompts.values()),
        clustered=clustered([Cluster(sum(v), len(v)) for v in prompts.values()]),
        coherent=sum(map(limits.admit, readings)) if judged else None,
        coherent_k=sum(map(limits.admit, hits)) if judged else None,
        factor=_factor(arm, alpha, k, n, base),
        needed=rollouts_needed(k / n) if k else None,
    )


def _factor(
    arm: str, alpha: float, k: int, n: int, base: Sequence[Observation]
) -> Factor | None:
    if arm != SWEEP or alpha == 0 or not base:
        return None
    return amplification_factor(k, n, sum(seen.hit for seen in base), len(base))
