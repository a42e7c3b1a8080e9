"""What rollouts must have in common before their weights may be pooled."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from inspect_ai.log import EvalLog

from inspect_lda.errors import LDAError
from inspect_lda.evidence import Evidence

_SHAPING = ("top_p", "top_k", "frequency_penalty", "presence_penalty", "logit_bias")


@dataclass(frozen=True)
class Setting:
    """The pair and the sampling whose rate is asked. A field's name is what a user set.

    Attributes:
        after: The checkpoint after training.
        before: The one before.
        amplify: What alpha multiplies, logits or weights.
        precision: dtype of the forward passes.
        temperature: Of all distributions.
        sampling: Truncation, penalties and bias, those that were on.
        support: How many of the likeliest ids were drawn from; 0 is all.
        nets: Safety nets, those that were on.
        max_tokens: Most tokens of a reply.
        pattern: What counts as a hit.
        detector: The scorer that counts.
    """

    after: str
    before: str
    amplify: str
    precision: str
    temperature: float
    sampling: Mapping[str, Any]
    support: int
    nets: Mapping[str, Any]
    max_tokens: int | None
    pattern: str
    detector: str


def setting_of(
    log: EvalLog, lda: Mapping[str, Any], evidence: Evidence, detector: str
) -> Setting:
    """The setting of one rollout.

    Args:
        log: Its log.
        lda: Its output's metadata.
        evidence: What it recorded.
        detector: The scorer that counts.
    """
    sampling = evidence.sampling
    return Setting(
        after=str(lda.get("after")),
        before=str(lda.get("before")),
        amplify=str(lda.get("amplify", "logits")),
        precision=evidence.precision,
        temperature=evidence.temperature,
        sampling=_asked(log) if sampling is None else sampling,
        support=evidence.support.k if evidence.support else 0,
        nets=evidence.nets.settings if evidence.nets else {},
        max_tokens=log.eval.task_args.get("max_tokens") or log.plan.config.max_tokens,
        pattern=str((log.eval.metadata or {}).get("pattern", detector)),
        detector=detector,
    )


def same_setting(found: Iterable[tuple[str, Setting]]) -> Setting:
    """The one setting of all rollouts.

    Args:
        found: Where each was found, and what it was.

    Raises:
        LDAError: If two differ: no weight turns one into the other.
    """
    settings = iter(found)
    first_place, first = next(settings)
    for place, other in settings:
        for field in fields(Setting):
            one, two = getattr(first, field.name), getattr(other, field.name)
            if one != two:
                raise LDAError(
                    f"the rollouts differ in {field.name}: {one!r} in {first_place}, "
                    f"{two!r} in {place}. One rate is of one pair under one setting: "
                    "give logs that agree"
                )
    return first


def _asked(log: EvalLog) -> dict[str, Any]:
    """What a log of an older version says of the sampling, as its user set it."""
    asked: dict[str, Any] = {}
    for config in (log.eval.model_generate_config, log.plan.config):
        for name in _SHAPING:
            value = getattr(config, name)
            if value not in (None, {}, 0) and (name, value) != ("top_p", 1.0):
                asked[name] = value
    return asked
