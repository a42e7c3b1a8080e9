"""Several logs as one release: everything that its page shows."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from inspect_ai.log import EvalLog

from inspect_lda.calibration.records import Ledger
from inspect_lda.errors import LDAError
from inspect_lda.naming import parse_name
from inspect_lda.report.files import log_files, without_superseded
from inspect_lda.report.foreign import OURS, Foreign, foreign_metrics
from inspect_lda.report.ledger import ledger_of
from inspect_lda.report.loading import load
from inspect_lda.report.own_rate import OwnRate, own_rate_of
from inspect_lda.report.provenance import Provenance, provenance_of
from inspect_lda.report.series import Series, series_of
from inspect_lda.report.summary import Summary, counts_detections, summarise


@dataclass(frozen=True)
class Release:
    """What the logs of a release say together.

    Attributes:
        findings: One a behaviour and pair.
        own: The model's own rate of each, or why it is not estimated.
        series: Checkpoints of one training, where there are several.
        foreign: Metrics of evals that are not ours.
        spent: What each log took.
        provenance: Where each log comes from.
        problems: Logs that are in no number of the page, and why.
        places: The log of each example, by the sample's uuid.
    """

    findings: tuple[Summary, ...]
    own: tuple[OwnRate | str, ...]
    series: tuple[Series, ...]
    foreign: tuple[Foreign, ...]
    spent: tuple[Ledger, ...]
    provenance: tuple[Provenance, ...]
    problems: tuple[str, ...]
    places: dict[str, str]


def read_logs(locations: Sequence[str]) -> tuple[list[EvalLog], list[str]]:
    """Read logs; a folder means all of its logs, of each its last attempt.

    What cannot be read is an error where it was named, and a problem on the page where
    it lies in a folder.

    Returns:
        The logs, and why others are not among them.

    Raises:
        LDAError: As `load` does, and if there is nothing to report.
    """
    logs: list[EvalLog] = []
    problems: list[str] = []
    files = {file: location for location in locations for file in log_files(location)}
    for file in without_superseded(list(files)):
        try:
            logs.append(load(file))
        except LDAError as error:
            if not Path(files[file]).expanduser().is_dir():
                raise
            problems.append(str(error))
    if not logs:
        raise LDAError("\n".join(problems) or "no log to report on")
    return logs, problems


def release(logs: Sequence[EvalLog], problems: Iterable[str] = ()) -> Release:
    """The release in logs that were read."""
    counted = [log for log in logs if counts_detections(log)]
    sweeps = merged(counted)
    findings = tuple(map(summarise, sweeps))
    series, broken = _series(findings)
    elsewhere = [
        f"{log.location}: {log.eval.task} counts no behaviour and is in no table here; "
        f"it has its own: inspect-lda report {log.location}"
        for log in logs
        if log not in counted and log.eval.task.startswith(OURS)
    ]
    return Release(
        findings=findings,
        own=tuple(map(own_rate_of, sweeps)),
        series=tuple(series),
        foreign=tuple(foreign_metrics(logs)),
        spent=tuple(map(ledger_of, logs)),
        provenance=tuple(map(provenance_of, logs)),
        problems=(*problems, *broken, *elsewhere),
        places=_places(logs, findings),
    )


def total(spent: Sequence[Ledger]) -> Ledger:
    """The sum of what several logs took."""
    names = Ledger.model_fields
    return Ledger(**{name: sum(getattr(one, name) for one in spent) for name in names})


def _places(logs: Sequence[EvalLog], findings: Sequence[Summary]) -> dict[str, str]:
    shown = {example.uuid for one in findings for example in one.examples}
    return {
        sample.uuid: log.location
        for log in logs
        for sample in log.samples or []
        if sample.uuid is not None and sample.uuid in shown
    }


def merged(logs: Sequence[EvalLog]) -> list[EvalLog]:
    """Logs that differ in the model's alpha alone, as the one sweep that they are.

    An eval that knows nothing of alpha is run once an alpha; alone, neither log has
    the other's rate to compare with. A second log at the same alpha is a run of its
    own: it may hold the same rollouts again.
    """
    pairs: dict[tuple[str, ...], list[dict[str, EvalLog]]] = defaultdict(list)
    for log in logs:
        after, parts = parse_name(log.eval.model)
        alpha, args = parts.pop("alpha", ""), log.eval.task_args
        runs = pairs[log.eval.task, after, str(sorted(parts.items())), str(args)]
        free = (run for run in runs if alpha not in run and "alphas" not in args)
        run = next(free, None)
        if run is None:
            runs.append({alpha: log})
        else:
            run[alpha] = log
    return [_one(list(run.values())) for runs in pairs.values() for run in runs]


def _one(group: list[EvalLog]) -> EvalLog:
    first, *others = group
    if not others:
        return first
    samples = [sample for log in group for sample in log.samples or []]
    after, _ = parse_name(first.eval.model)
    spec = first.eval.model_copy(update={"model": after})
    return first.model_copy(update={"eval": spec, "samples": samples})


def _series(findings: Sequence[Summary]) -> tuple[list[Series], list[str]]:
    """Findings whose checkpoints differ in numbers alone; and what is no series."""
    groups: dict[tuple[str, str, str], list[Summary]] = defaultdict(list)
    for one in findings:
        after, _ = parse_name(one.model)
        groups[one.task, one.pattern, re.sub(r"\d+(\.\d+)?", "#", after)].append(one)
    found, broken = [], []
    for group in groups.values():
        if len({parse_name(one.model)[0] for one in group}) == len(group) > 1:
            try:
                found.append(series_of(group))
            except LDAError as error:
                broken.append(f"{group[0].task}: not shown as a series: {error}")
    return found, broken
