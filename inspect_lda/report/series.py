"""Several logs of one task as a series of checkpoints: where does a behaviour begin?

`inspect eval TASK --model lda/run@step_1,lda/run@step_2,…` writes one log a checkpoint.
A series compares every one of them, at every alpha, with the model before training.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from inspect_lda.arms import BEFORE, label
from inspect_lda.errors import LDAError
from inspect_lda.naming import parse_name
from inspect_lda.report.summary import Summary
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.onset import Look, looks
from inspect_lda.statistics.sweep import Row
from inspect_lda.statistics.trend import Trend, trend

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Track:
    """One alpha along the checkpoints, or to each checkpoint its own.

    Attributes:
        alpha: Amplification; None where every checkpoint has its own.
        rows: One row a checkpoint.
        looks: The comparison of each with the baseline.
        trend: Whether the rate rises along the training, the model before it included;
            None without steps.
    """

    alpha: float | None
    rows: tuple[Row, ...]
    looks: tuple[Look, ...]
    trend: Trend | None = None

    @property
    def name(self) -> str:
        """`alpha 0.5`, or `alpha by budget`."""
        return "alpha by budget" if self.alpha is None else f"alpha {self.alpha:g}"

    @property
    def onset(self) -> int | None:
        """Index of the first checkpoint above the baseline, corrected for looks."""
        found = (i for i, x in enumerate(self.looks) if x.adjusted <= SIGNIFICANT)
        return next(found, None)


@dataclass(frozen=True)
class Series:
    """Logs in the order of training.

    Attributes:
        summaries: One a checkpoint.
        names: Short names of the checkpoints.
        steps: Their numbers; None if the names hold none.
        baseline: Rollouts of the model before training.
        tracks: One an alpha that every log has; last, the largest of those that only
            some have, where every checkpoint was amplified by an alpha of its own.
    """

    summaries: tuple[Summary, ...]
    names: tuple[str, ...]
    steps: tuple[float, ...] | None
    baseline: Row
    tracks: tuple[Track, ...]


def series_of(summaries: Sequence[Summary]) -> Series:
    """Order logs by the last number in their checkpoint's name, and compare them.

    Raises:
        LDAError: If the logs are not of one task and behaviour, name a checkpoint
            twice, share no alpha, or hold no rollouts of the model before training.
    """
    _one_experiment(summaries)
    numbered = [(_step(_checkpoint(s)), s) for s in summaries]
    steps = None
    if all(step is not None for step, _ in numbered):
        numbered.sort(key=lambda pair: pair[0] or 0.0)
        steps = tuple(step or 0.0 for step, _ in numbered)
    ordered = tuple(summary for _, summary in numbered)
    baseline = _baseline(ordered)
    return Series(
        summaries=ordered,
        names=_names([_checkpoint(summary) for summary in ordered]),
        steps=steps,
        baseline=baseline,
        tracks=_tracks(ordered, baseline, steps),
    )


def _tracks(
    ordered: Sequence[Summary], baseline: Row, steps: Sequence[float] | None
) -> tuple[Track, ...]:
    by_alpha = [{row.alpha: row for row in summary.sweep} for summary in ordered]
    shared = sorted(set.intersection(*(set(rows) for rows in by_alpha)) - {-1.0})
    own = [[a for a in found if a > 0 and a not in shared] for found in by_alpha]
    columns: list[tuple[float | None, list[Row]]] = [
        (alpha, [found[alpha] for found in by_alpha]) for alpha in shared
    ]
    if all(own):
        pairs = zip(by_alpha, own, strict=True)
        columns.append((None, [found[max(alphas)] for found, alphas in pairs]))
    if not columns:
        raise LDAError("the logs share no alpha: run the same -T alphas= on all")
    return tuple(_track(alpha, rows, baseline, steps) for alpha, rows in columns)


def _track(
    alpha: float | None,
    rows: Sequence[Row],
    baseline: Row,
    steps: Sequence[float] | None,
) -> Track:
    before = Cluster(baseline.k, baseline.n)
    cells = [Cluster(row.k, row.n) for row in rows]
    rise = None
    if steps is not None and any(step > 0 for step in steps):
        rise = trend([before, *cells], [0.0, *steps])
    return Track(alpha, tuple(rows), tuple(looks(cells, before)), rise)


def _baseline(ordered: Sequence[Summary]) -> Row:
    """Of one log alone: the same `before` under the same seeds says the same again."""
    for summary in ordered:
        for row in (*summary.controls, *summary.sweep):
            if row.arm == BEFORE or row.alpha == -1.0:
                return row
    raise LDAError(
        "no log holds rollouts of the model before training (arm 'before' or alpha "
        f"{label(-1.0)}), which an onset is measured against"
    )


def _one_experiment(summaries: Sequence[Summary]) -> None:
    for what in ("task", "pattern"):
        found = sorted({str(getattr(summary, what)) for summary in summaries})
        if len(found) > 1:
            raise LDAError(f"the logs differ in {what}: {', '.join(found)}")
    names = [_checkpoint(summary) for summary in summaries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LDAError(f"{twice[0]} has more than one log; give one a checkpoint")


def _checkpoint(summary: Summary) -> str:
    after, _ = parse_name(summary.model.removeprefix("lda/"))
    return after


def _names(checkpoints: Sequence[str]) -> tuple[str, ...]:
    """Revisions, and of folders the last part, as long as that tells them apart."""
    short = [_short(checkpoint) for checkpoint in checkpoints]
    last = [one.rstrip("/").rpartition("/")[2] for one in short]
    return tuple(last if len(set(last)) == len(last) else short)


def _short(checkpoint: str) -> str:
    return checkpoint.rpartition("@")[2] if "@" in checkpoint else checkpoint


def _step(checkpoint: str) -> float | None:
    numbers = re.findall(r"\d+(?:\.\d+)?", _short(checkpoint).rpartition("/")[2])
    return float(numbers[-1]) if numbers else None
