"""A log as the gate sees it: its header, its rollouts, and what is missing."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from inspect_ai.log import EvalLog
from inspect_ai.scorer import SampleScore, Score

from inspect_lda.arms import EXACT, IDENTITY, SWEEP
from inspect_lda.errors import LDAError
from inspect_lda.naming import parse_name
from inspect_lda.report.examples import hit_of
from inspect_lda.report.stream import Summary, summaries
from inspect_lda.report.summary import detector_of
from inspect_lda.scorers._readout import reading_in
from inspect_lda.scorers.verdict import same_texts
from inspect_lda.statistics.coherence import Reading

Cell = tuple[str, float]
"""Arm and alpha."""


_OWN_LIMITS = ("message", "turn")
"""Limits that say how long a conversation is; the others are how much was paid for."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One scored rollout.

    Attributes:
        sample_id: In its log.
        epoch: Likewise.
        cell: Arm and alpha.
        prompt: The prompt, or group of prompts, it belongs to.
        hit: Whether the detector saw the behaviour.
        reading: For coherence; None without evidence.
        draw: Its random stream's seed, which two runs may share; without evidence what
            Inspect calls this very sample; None if neither is known.
        kl_max: Largest KL(after || before) along it; None without evidence.
        origin: Where the hit comes from, if that was told.
        decided_by: The last stage of a judge's chain, if there was one.
    """

    sample_id: str
    epoch: int
    cell: Cell
    prompt: str
    hit: bool
    reading: Reading | None
    draw: int | str | None
    kl_max: float | None
    origin: str | None
    decided_by: str | None


@dataclass
class LogData:
    """One log, counted by one detector.

    Attributes:
        location: Where it is.
        header: The log without samples.
        detector: The score that counts.
        rollouts: All scored ones.
        lost: Rollouts without a score, by arm and alpha, and those that a limit cut
            short before any hit.
        ended: Samples that ended without an error, scored or not.
        graders: Models that judged, by role.
        exact: Exact probabilities of the target, by alpha, one a prompt.
        identity: Texts of the identity pair that are those of alpha 0, and all.
    """

    location: str
    header: EvalLog
    detector: str
    rollouts: list[Rollout] = field(default_factory=list)
    lost: Counter[Cell] = field(default_factory=Counter)
    ended: int = 0
    graders: dict[str, set[str]] = field(default_factory=dict)
    exact: dict[float, list[float]] = field(default_factory=dict)
    identity: tuple[int, int] = (0, 0)

    @property
    def task(self) -> str:
        """Its name without the package."""
        return task_of(self.header)

    @property
    def model(self) -> str:
        """The pair, as Inspect names it."""
        return self.header.eval.model

    @property
    def short(self) -> str:
        """The file's name."""
        return self.location.rpartition("/")[2]

    @property
    def stopped(self) -> bool:
        """Whether it was ended early, by whatever looked at its counts."""
        results = self.header.results
        return results is not None and results.early_stopping is not None

    def dose(self) -> float | None:
        """Mean over prompts of the target's exact probability at alpha 0."""
        found = self.exact.get(0.0)
        return fmean(found) if found else None


def task_of(log: EvalLog) -> str:
    """A task's name without its package."""
    return log.eval.task.rpartition("/")[2]


def read_log(location: str, header: EvalLog, detector: str | None) -> LogData:
    """Count a log.

    Args:
        location: Where it is.
        header: The log without samples.
        detector: The score that counts; None for the task's own.

    Raises:
        LDAError: If it has no such score, or its samples cannot be read.
    """
    name = detector or detector_of(header)
    data = LogData(location, header, name)
    fallback = _alpha_of(header)
    texts: list[SampleScore] = []
    named = False
    try:
        for summary in summaries(location):
            named |= bool(summary.get("error")) or name in (summary.get("scores") or {})
            _add(data, summary, fallback)
            texts += _text(summary)
    except Exception as error:  # whatever a foreign file makes the reader raise
        raise LDAError(f"{location}: samples cannot be read ({error})") from error
    if not named:
        found = (
            [score.name for score in header.results.scores] if header.results else []
        )
        raise LDAError(
            f"{location}: no sample has a score '{name}'. Scores: "
            f"{', '.join(found) or 'none'}"
        )
    data.identity = same_texts(texts)
    return data


def _add(data: LogData, summary: Summary, fallback: float) -> None:
    scores = summary.get("scores") or {}
    known = summary.get("metadata") or {}
    data.ended += not summary.get("error")
    if known.get("arm") == EXACT:
        _add_exact(data, scores.get("exact_logprob"))
        return
    score = scores.get(data.detector)
    facts = {} if score is None else score.get("metadata") or {}
    asked = next(
        (d["alpha"] for d in (facts, known) if d.get("alpha") is not None), None
    )
    arm = str(facts.get("arm", known.get("arm", SWEEP)))
    cell = (arm, fallback if asked is None else float(asked))
    hit = None if score is None else hit_of(score["value"])
    for role, model in (facts.get("graders") or {}).items():
        data.graders.setdefault(role, set()).add(str(model))
    cut = summary.get("limit") not in (None, *_OWN_LIMITS)
    if hit is None or (cut and not hit):
        data.lost[cell] += 1
        return
    other = (scores.get("likelihood_coherence") or {}).get("metadata") or {}
    evidence = facts if "surprise_forgiven" in facts else other
    seed, kl_max = evidence.get("seed"), evidence.get("kl_max")
    data.rollouts.append(
        Rollout(
            sample_id=str(summary["id"]),
            epoch=int(summary["epoch"]),
            cell=cell,
            prompt=str(known.get("group", summary["id"])),
            hit=hit,
            reading=reading_in(evidence),
            draw=summary.get("uuid") if seed is None else int(seed),
            kl_max=None if kl_max is None else float(kl_max),
            origin=facts.get("origin"),
            decided_by=facts.get("decided_by"),
        )
    )


def _add_exact(data: LogData, score: dict[str, Any] | None) -> None:
    found = ((score or {}).get("metadata") or {}).get("log_prob")
    for alpha, value in (found if isinstance(found, dict) else {}).items():
        chance = 0.0 if value is None else math.exp(value)
        data.exact.setdefault(float(alpha), []).append(chance)


def _text(summary: Summary) -> Iterable[SampleScore]:
    """What compares the identity pair with alpha 0, of the samples that matter."""
    score = (summary.get("scores") or {}).get("verdict")
    facts = (score or {}).get("metadata") or {}
    if facts.get("arm") == IDENTITY or (facts.get("arm"), facts.get("alpha")) == (
        SWEEP,
        0,
    ):
        yield SampleScore(score=Score(value=0, metadata=facts))


def _alpha_of(header: EvalLog) -> float:
    """The alpha of an eval that does not sweep: its model's own, 0 of a plain model."""
    _, written = parse_name(header.eval.model.partition("/")[2] or header.eval.model)
    asked = written.get("alpha", header.eval.model_args.get("alpha", 0.0))
    try:
        return float(asked)
    except (TypeError, ValueError):
        return math.nan  # "auto": every output says what it was
