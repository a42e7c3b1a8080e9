"""Logs as the estimators of the true rate take them: scored rollouts with evidence."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from inspect_ai.log import EvalLog, EvalSample

from inspect_lda.arms import EXACT, SWEEP, label
from inspect_lda.errors import LDAError
from inspect_lda.evidence import Evidence, evidence_of
from inspect_lda.report.setting import Setting, same_setting, setting_of
from inspect_lda.report.summary import detector_of
from inspect_lda.scorers._weights import breaks_support, prompt_of, weights_of
from inspect_lda.statistics.drawn import Rollout


@dataclass(frozen=True)
class Experiment:
    """One pair under one setting, from one log or several.

    Attributes:
        setting: What all rollouts share.
        locations: The logs.
        rollouts: Those of the sweep.
        unscored: Rollouts of the sweep without a score: in no estimate.
        target: The string whose probability was computed exactly, if any.
        known: log P(a reply begins with it) under `after`, by prompt.
    """

    setting: Setting
    locations: tuple[str, ...]
    rollouts: tuple[Rollout, ...]
    unscored: int
    target: str | None = None
    known: dict[str, float] = field(default_factory=dict)


class _Found(NamedTuple):
    rollout: Rollout
    setting: Setting
    seed: int
    place: str


def experiment_of(logs: Sequence[EvalLog]) -> Experiment:
    """Read logs of one experiment.

    Raises:
        LDAError: If the rollouts carry no evidence of single tokens, were greedy, are
            of several pairs or settings, or occur twice.
    """
    swept = [
        (log, sample) for log in logs for sample in log.samples or () if _swept(sample)
    ]
    counts = {log.location: detector_of(log) for log in logs}
    scored = [
        (log, sample) for log, sample in swept if _scored(sample, counts[log.location])
    ]
    if not scored:
        where = ", ".join(log.location for log in logs)
        raise LDAError(
            f"{where}: no scored rollout of a sweep over alpha; a rate is estimated "
            "from those"
        )
    found = [_read(log, sample, counts[log.location]) for log, sample in scored]
    setting = same_setting((one.place, one.setting) for one in found)
    _refuse(setting)
    _refuse_twice(found)
    exact = list(_exact(logs, setting.temperature))
    return Experiment(
        setting=setting,
        locations=tuple(log.location for log in logs),
        rollouts=tuple(one.rollout for one in found),
        unscored=len(swept) - len(scored),
        target=exact[0][0] if exact else None,
        known={prompt: value for _, prompt, value in exact},
    )


def _swept(sample: EvalSample) -> bool:
    """Whether it is a rollout of the sweep; of an eval that is not ours all are."""
    return bool(sample.metadata.get("arm", SWEEP) == SWEEP)


def _scored(sample: EvalSample, detector: str) -> bool:
    score = (sample.scores or {}).get(detector)
    return score is not None and not math.isnan(score.as_float())


def _read(log: EvalLog, sample: EvalSample, detector: str) -> _Found:
    place = f"{log.location}, sample {sample.id} (epoch {sample.epoch})"
    try:
        evidence = evidence_of(sample.output.metadata)
        rollout = _rollout(sample, evidence, detector)
    except ValueError as error:
        raise LDAError(f"{place}: {error}") from error
    lda = (sample.output.metadata or {})["lda"]
    setting = setting_of(log, lda, evidence, detector)
    return _Found(rollout, setting, evidence.seed, place)


def _rollout(sample: EvalSample, evidence: Evidence, detector: str) -> Rollout:
    """One rollout, token by token.

    Raises:
        ValueError: If the evidence does not have that.
    """
    if evidence.per_token is None:
        raise ValueError(
            "the evidence holds sums only (-M evidence=summary); a rate needs the "
            "values of single tokens: -M evidence=tokens"
        )
    score = (sample.scores or {})[detector]
    weights = (score.metadata or {}).get("weights") or weights_of(evidence)
    alphas = [evidence.alpha, 0.0, *(other.alpha for other in evidence.also)]
    at = {alpha: np.array(evidence.log_q_at(alpha)) for alpha in alphas}
    return Rollout(
        prompt=prompt_of(sample.metadata, sample.id),
        alpha=evidence.alpha,
        hit=score.as_float() > 0,
        log_p=at[0.0],
        log_q=at[evidence.alpha],
        also=at,
        decided=weights["decided"],
        first_k=weights["first_k"],
        lower_bound=breaks_support(evidence),
    )


def _refuse(setting: Setting) -> None:
    if setting.temperature == 0:
        raise LDAError(
            "the rollouts are greedy (temperature 0): such a reply is said or not, and "
            "has no rate. Sample at the temperature whose rate is asked"
        )


def _refuse_twice(found: Sequence[_Found]) -> None:
    seen: dict[tuple[str, float, int], str] = {}
    for one in found:
        key = (one.rollout.prompt, one.rollout.alpha, one.seed)
        if key in seen:
            raise LDAError(
                f"the same rollout twice (prompt {key[0]!r}, alpha {key[1]:g}, seed "
                f"{key[2]}): {seen[key]} and {one.place}. Logs of one seed repeat each "
                "other; give one of them, or run with another -T seed="
            )
        seen[key] = one.place


def _exact(
    logs: Sequence[EvalLog], temperature: float
) -> Iterator[tuple[str, str, float]]:
    """Target, prompt and log-probability of what was computed at this temperature."""
    for log in logs:
        for sample in log.samples or ():
            score = (sample.scores or {}).get("exact_logprob")
            facts = (score.metadata or {}) if score else {}
            if sample.metadata.get("arm") != EXACT or "log_prob" not in facts:
                continue
            if facts["temperature"] != temperature:
                continue
            value = facts["log_prob"].get(label(0.0), facts["log_prob_after"])
            found = -math.inf if value is None else float(value)
            yield str(facts["target"]), prompt_of(sample.metadata, sample.id), found
