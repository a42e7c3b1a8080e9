"""A log in numbers: everything that a table, picture or page shows."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from inspect_ai.log import EvalLog, EvalSample
from inspect_ai.scorer import SampleScore

from inspect_lda.arms import SWEEP
from inspect_lda.errors import LDAError
from inspect_lda.report.examples import Example, pick_examples
from inspect_lda.report.spent import spent_line
from inspect_lda.scorers.metrics import observations
from inspect_lda.scorers.verdict import same_texts, verdict_of
from inspect_lda.statistics.sweep import Row, coherence_limits, rows
from inspect_lda.statistics.verdict import Verdict

VERDICT = "verdict"


@dataclass(frozen=True)
class Exact:
    """Teacher-forced probability of the target at one alpha, over prompts."""

    alpha: float
    mean: float
    median: float
    prompts: int


@dataclass(frozen=True)
class Summary:
    """One log.

    Attributes:
        task: Task name.
        model: The pair, as Inspect names it.
        control: The control pair, if there was one.
        detector: Name of the scorer that counts.
        pattern: What counted as a hit.
        target: The string whose probability was computed, if any.
        temperature: Of the rollouts.
        location: Where the log is.
        created: When it was begun.
        sweep: Rows of the sweep, by alpha.
        controls: Rows of all other arms.
        exact: Exact probabilities, by alpha.
        unscored: Arm and alpha to rollouts without a score.
        examples: Up to three hits.
        verdict: What the arms say together, if the task asked for that.
        identity: Texts of the identity pair that are those of alpha 0, and all of them.
        spent: What was asked of endpoints, if any were.
    """

    task: str
    model: str
    control: str | None
    detector: str
    pattern: str
    target: str | None
    temperature: float | None
    location: str
    created: str
    sweep: tuple[Row, ...]
    controls: tuple[Row, ...]
    exact: tuple[Exact, ...]
    unscored: dict[tuple[str, float], int]
    examples: tuple[Example, ...]
    verdict: Verdict | None = None
    identity: tuple[int, int] = (0, 0)
    spent: str | None = None

    def exact_at(self, alpha: float) -> Exact | None:
        """The exact probability at an alpha, if it was computed."""
        return next((point for point in self.exact if point.alpha == alpha), None)


def summarise(log: EvalLog) -> Summary:
    """Count a log. Limits of coherence, intervals and factors are those of the metrics.

    Raises:
        LDAError: If no score in the log counts detections.
    """
    samples = log.samples or []
    name = detector_of(log)
    scored = [sample for sample in samples if _value(sample, name) is not None]
    seen = observations([_sample_score(sample, name) for sample in scored])
    table = rows(seen)
    weighed = [s for s in samples if _value(s, VERDICT) is not None]
    control = log.eval.model_roles and log.eval.model_roles.get("control")
    control = control[0] if isinstance(control, list) else control
    return Summary(
        task=log.eval.task.split("/")[-1],
        model=log.eval.model,
        control=control.model if control else None,
        detector=name,
        pattern=_pattern(log, name),
        target=_target(samples),
        temperature=_temperature(scored, name),
        location=log.location,
        created=log.eval.created,
        sweep=tuple(row for row in table if row.arm == SWEEP),
        controls=tuple(row for row in table if row.arm != SWEEP),
        exact=_exact(samples),
        unscored=_unscored(samples, name),
        examples=pick_examples(scored, name, coherence_limits(seen)),
        verdict=verdict_of(table) if weighed else None,
        identity=same_texts([_sample_score(sample, VERDICT) for sample in weighed]),
        spent=spent_line(log),
    )


def detector_of(log: EvalLog) -> str:
    """The score whose metric is `detection_rate`: it reports a peak rate.

    Raises:
        LDAError: If there is none.
    """
    scores = log.results.scores if log.results else []
    for score in scores:
        if "peak_rate" in score.metrics or score.name == "phrase":
            return score.name
    found = ", ".join(score.name for score in scores) or "none"
    raise LDAError(
        f"{log.location}: no score counts detections (found: {found}). Score it with "
        "`inspect score LOG --scorer inspect_lda/phrase -S pattern='…'`"
    )


def counts_detections(log: EvalLog) -> bool:
    """Whether a log can be summarised: whether any of its scores counts detections."""
    try:
        detector_of(log)
    except LDAError:
        return False
    return True


def _pattern(log: EvalLog, name: str) -> str:
    """What counted as a hit: as the task says it, or as its scorer was told."""
    scores = log.results.scores if log.results else []
    told = [one.params.get("pattern") for one in scores if one.name == name]
    return str((log.eval.metadata or {}).get("pattern") or (told or [None])[0] or name)


def _value(sample: EvalSample, name: str) -> float | None:
    """1 or 0; None if the scorer did not apply to the sample or left it unscored."""
    score = (sample.scores or {}).get(name)
    if score is None or math.isnan(score.as_float()):
        return None
    return score.as_float()


def _sample_score(sample: EvalSample, name: str) -> SampleScore:
    return SampleScore(
        score=(sample.scores or {})[name],
        sample_id=sample.id,
        sample_metadata=sample.metadata,
    )


def _unscored(samples: Sequence[EvalSample], name: str) -> dict[tuple[str, float], int]:
    """Rollouts that were scored NaN, or that failed before they were scored."""
    lost = Counter(
        (str(sample.metadata.get("arm", SWEEP)), float(sample.metadata["alpha"]))
        for sample in samples
        if sample.metadata.get("alpha") is not None
        and (name in (sample.scores or {}) or sample.error)
        and _value(sample, name) is None
    )
    return dict(sorted(lost.items()))


def _exact_facts(samples: Sequence[EvalSample]) -> list[dict[str, Any]]:
    """What `exact_logprob` found, sample by sample; unscored ones left out."""
    found = [(sample.scores or {}).get("exact_logprob") for sample in samples]
    facts = [score.metadata or {} for score in found if score is not None]
    return [fact for fact in facts if "log_prob" in fact]


def _exact(samples: Sequence[EvalSample]) -> tuple[Exact, ...]:
    by_alpha: dict[float, list[float]] = {}
    for fact in _exact_facts(samples):
        for alpha, value in fact["log_prob"].items():
            chance = 0.0 if value is None else math.exp(value)
            by_alpha.setdefault(float(alpha), []).append(chance)
    return tuple(
        Exact(alpha, fmean(found), median(found), len(found))
        for alpha, found in sorted(by_alpha.items())
    )


def _target(samples: Sequence[EvalSample]) -> str | None:
    return next((str(fact["target"]) for fact in _exact_facts(samples)), None)


def _temperature(scored: Sequence[EvalSample], name: str) -> float | None:
    """Of the rollouts, from their evidence: what was done, not what was asked."""
    for sample in scored:
        metadata = (sample.scores or {})[name].metadata or {}
        if "temperature" in metadata:
            return float(metadata["temperature"])
    return None
