"""Evals that are not ours: their own metrics, arm by arm."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from inspect_ai.log import EvalLog, EvalMetric

from inspect_lda.naming import parse_name
from inspect_lda.report.summary import counts_detections, detector_of
from inspect_lda.report.wording import Line

OURS = "inspect_lda/"


@dataclass(frozen=True)
class Foreign:
    """One metric of one eval on one pair, by the alpha that the model was given.

    Attributes:
        task: Name of the eval, with its package.
        pair: The checkpoint.
        metric: Score and metric.
        values: By alpha; the text holds the standard error where there is one.
    """

    task: str
    pair: str
    metric: str
    values: dict[float | None, str]


def foreign_metrics(logs: Iterable[EvalLog]) -> list[Foreign]:
    """What evals that we did not write measured with scorers that we did not write."""
    found: dict[tuple[str, str, str], dict[float | None, str]] = defaultdict(dict)
    for log in logs:
        for one in _own(log):
            found[one.task, one.pair, one.metric].update(one.values)
    return [Foreign(*key, values) for key, values in found.items()]


def own_metrics(log: EvalLog) -> list[str]:
    """The metrics of an eval that is not ours, a line each; none of one that is."""
    lines = [f"{one.metric} {', '.join(one.values.values())}" for one in _own(log)]
    return [f"{log.eval.task} on {log.eval.model}", *lines] if lines else []


def foreign_table(found: list[Foreign]) -> tuple[tuple[str, ...], list[Line]]:
    """Header and lines: one line a metric, one column an alpha."""
    alphas = sorted({alpha for one in found for alpha in one.values}, key=_order)
    heads = ["no alpha" if alpha is None else f"alpha {alpha:g}" for alpha in alphas]
    lines = [
        Line((one.task, one.pair, one.metric, *_across(one, alphas))) for one in found
    ]
    return ("eval", "pair", "metric", *heads), lines


def _own(log: EvalLog) -> list[Foreign]:
    if log.eval.task.startswith(OURS) or log.results is None:
        return []
    after, parts = parse_name(log.eval.model.partition("/")[2])
    alpha = float(parts["alpha"]) if "alpha" in parts else None
    detector = detector_of(log) if counts_detections(log) else None
    return [
        Foreign(
            log.eval.task,
            after,
            f"{score.name}: {name}",
            {alpha: _value(metric, score.metrics.get("stderr"))},
        )
        for score in log.results.scores
        for name, metric in score.metrics.items()
        if score.name != detector and name != "stderr"
    ]


def _across(one: Foreign, alphas: list[float | None]) -> tuple[str, ...]:
    return tuple(one.values.get(alpha, "-") for alpha in alphas)


def _order(alpha: float | None) -> tuple[bool, float]:
    return alpha is not None, alpha or 0.0


def _value(metric: EvalMetric, stderr: EvalMetric | None) -> str:
    text = f"{metric.value:.3g}"
    return f"{text} \u00b1 {stderr.value:.2g}" if stderr else text
