"""What every scorer does with the evidence of a rollout, written once.

Scorers only read `ModelOutput.metadata["lda"]`, so `inspect score` on an old log needs
no weights and no engine. Evidence that is missing, damaged or not a number makes the
sample unscored, never a value (law 7 of docs/design.md).
"""

import math
from typing import Any

from inspect_ai.scorer import SampleScore, Score
from inspect_ai.solver import TaskState

from inspect_lda.arms import EXACT, SWEEP
from inspect_lda.evidence import Evidence, evidence_of
from inspect_lda.scorers._weights import weights_of
from inspect_lda.statistics.coherence import Reading, reading_of


def arm_of(state: TaskState) -> str:
    """The sample's arm; a sample of an eval we did not write belongs to the sweep."""
    return str(state.metadata.get("arm", SWEEP))


def is_rollout(state: TaskState) -> bool:
    """Whether the sample holds a completion; others are not this scorer's business."""
    return arm_of(state) != EXACT


def readable_evidence(state: TaskState) -> Evidence:
    """The evidence of the sample's completion.

    Raises:
        ValueError: If it is missing, damaged, not a number, or of another alpha than
            the sample asks for.
    """
    evidence = evidence_of(state.output.metadata)
    for name, value in evidence.model_dump(exclude={"decisive", "per_token"}).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"evidence '{name}' is {value}, not a finite number")
    asked = state.metadata.get("alpha")
    if asked is not None and float(asked) != evidence.alpha:
        raise ValueError(
            f"the sample asks for alpha={asked}, the evidence is of {evidence.alpha}: "
            "the request's extra_body['lda'] did not reach the engine"
        )
    return evidence


def facts(state: TaskState, evidence: Evidence, reading: Reading) -> dict[str, Any]:
    """The scalars for Score.metadata, which is what the viewer shows.

    Minus and plus infinity, which not every JSON reader takes, become None.
    """
    return {
        "alpha": evidence.alpha,
        "arm": arm_of(state),
        "seed": evidence.seed,
        "temperature": evidence.temperature,
        "n_tokens": evidence.n_tokens,
        "kl_mean": evidence.kl_mean,
        "kl_max": evidence.kl_max,
        "surprise": _finite(evidence.surprise),
        "surprise_forgiven": _finite(reading.surprise),
        "implausible": evidence.implausible,
        "implausible_forgiven": reading.implausible,
        "repetition": reading.repetition,
        "log_weight": _finite(evidence.log_weight),
        "weights": weights_of(evidence),
        "first_divergence": evidence.first_divergence,
        "decisive": [token.model_dump() for token in evidence.decisive],
    }


def read(state: TaskState) -> tuple[Evidence, Reading, dict[str, Any]]:
    """Evidence, reading and facts of a rollout; ValueError as `readable_evidence`."""
    evidence = readable_evidence(state)
    reading = reading_of(evidence, state.output.completion)
    return evidence, reading, facts(state, evidence, reading)


def reading_in(metadata: dict[str, Any]) -> Reading | None:
    """The reading back from Score.metadata; None if the score carries no evidence."""
    if "surprise_forgiven" not in metadata:
        return None
    surprise = metadata["surprise_forgiven"]
    return Reading(
        surprise=math.inf if surprise is None else float(surprise),
        implausible=float(metadata["implausible_forgiven"]),
        repetition=float(metadata["repetition"]),
        n_tokens=int(metadata["n_tokens"]),
    )


def bare(state: TaskState) -> dict[str, Any]:
    """Alpha and arm of a sample without evidence; alpha 0 if it was never amplified."""
    alpha = state.metadata.get("alpha")
    return {"alpha": 0.0 if alpha is None else float(alpha), "arm": arm_of(state)}


def cell_of(sample: SampleScore) -> tuple[str, float]:
    """Arm and alpha of a score, which metrics count by."""
    known = sample.score.metadata or {}
    return str(known.get("arm", SWEEP)), float(known.get("alpha", 0.0))


def group_of(sample: SampleScore) -> str:
    """The cluster of a score: its prompt's group, else the sample."""
    return str((sample.sample_metadata or {}).get("group", sample.sample_id))


def decisive_text(evidence: Evidence) -> str:
    """The decisive tokens as one line, in the order of the completion."""
    if not evidence.decisive:
        return "No token was made more likely by amplification."
    tokens = sorted(evidence.decisive, key=lambda token: token.index)
    listed = ", ".join(f"{t.text!r} (+{t.log_ratio:.1f})" for t in tokens)
    return f"Decisive tokens (log q - log p_after, nats): {listed}."


def unscored(state: TaskState, error: ValueError, note: str = "") -> Score:
    """A sample whose evidence cannot be read: kept, counted, never a value."""
    return Score.unscored(
        reason="scoring_failed",
        explanation=f"{error}{note}",
        metadata={
            "alpha": state.metadata.get("alpha"),
            "arm": arm_of(state),
        },
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
