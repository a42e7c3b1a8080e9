"""What single samples say of the pair: both checkpoints, and its self-test.

Summaries do not hold it, and it is the same for all rollouts of a log at one alpha, so
one full sample an alpha is read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from inspect_ai.log import EvalSample, read_eval_log_samples_by_id
from pydantic import ValidationError

from inspect_lda.arms import SWEEP
from inspect_lda.calibration.result import NoiseRecord
from inspect_lda.errors import LDAError
from inspect_lda.gate.rollouts import LogData, Rollout

_LONG = {"events", "attachments", "store"}


@dataclass(frozen=True)
class Attested:
    """The pair at one alpha.

    Attributes:
        alpha: Amplification.
        after: Name of `after`, with its revision if known.
        before: The same of `before`.
        noise: What its self-test says.
        nets: Safety nets that held amplification back, as they were set.
    """

    alpha: float
    after: str | None
    before: str | None
    noise: NoiseRecord
    nets: str = ""


def attest(log: LogData) -> tuple[Attested, ...]:
    """Read one sample an alpha of the sweep; those without evidence are left out."""
    first: dict[float, Rollout] = {}
    for rollout in log.rollouts:
        arm, alpha = rollout.cell
        if arm == SWEEP:
            first.setdefault(alpha, rollout)
    found = []
    for alpha, sample in zip(first, full(log, first.values()), strict=True):
        told = (sample.output.metadata or {}).get("lda")
        if isinstance(told, dict) and told.get("evidence"):
            found.append(_attested(alpha, told))
    return tuple(found)


def full(log: LogData, rollouts: Iterable[Rollout]) -> list[EvalSample]:
    """The samples of some rollouts, without their events.

    Raises:
        LDAError: If the log does not hold them.
    """
    wanted = [(rollout.sample_id, rollout.epoch) for rollout in rollouts]
    try:
        return read_eval_log_samples_by_id(
            log.location, wanted, exclude_fields=set(_LONG)
        )
    except Exception as error:  # whatever a foreign file makes the reader raise
        raise LDAError(f"{log.location}: samples cannot be read ({error})") from error


def _attested(alpha: float, told: dict[str, Any]) -> Attested:
    try:
        noise = NoiseRecord.model_validate(told.get("noise", {}))
    except ValidationError as error:
        raise LDAError(f"evidence 'noise' cannot be read: {error}") from error
    names = (told.get(side) for side in ("after", "before"))
    after, before = (None if name is None else str(name) for name in names)
    return Attested(alpha, after, before, noise, _nets(told))


def _nets(told: dict[str, Any]) -> str:
    found = [item.get("nets") for item in told["evidence"] if isinstance(item, dict)]
    settings: dict[str, Any] = next((one["settings"] for one in found if one), {})
    return ", ".join(f"{name}={value}" for name, value in sorted(settings.items()))
