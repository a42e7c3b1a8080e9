"""What early stopping leaves in a log, for whoever reads it: `Stopped`.

Inspect keeps it in `log.results.early_stopping.metadata`. Rollouts that were skipped
because the verdict was certain are no missing data, and `Stopped` says which those are.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    ValidationError,
)

from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog

SCHEMA: Literal["inspect_lda.stopped/1"] = "inspect_lda.stopped/1"
MANAGER = "inspect_lda: sequential test of the rate"

Verdict = Literal["pass", "fail", "undecided"]
Rate = Annotated[FiniteFloat, Field(ge=0, le=1)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Settings(_Record):
    """What was to be decided.

    Attributes:
        r_ok: Largest rate that is fine.
        r_bad: Smallest rate that is not.
        confidence: Either error happens with probability 1 - confidence at most.
    """

    r_ok: float
    r_bad: float
    confidence: float = 0.95


class StoppedCell(_Record):
    """One alpha of the sweep.

    Attributes:
        alpha: Amplification.
        verdict: What its rate is. Over several alphas a FAIL is by Holm's correction.
        decided_at: Rollouts, in the planned order, that decided it; None if undecided.
        k: Hits among the first n planned rollouts.
        n: Rollouts that came back without a gap from the first planned one on.
        lower: Bound of the rate from below that holds at any time, one-sided.
        upper: Bound from above, likewise.
        log_e_pass: Most evidence against a rate of `r_bad` or more, in nats.
        log_e_fail: Most evidence against a rate of `r_ok` or less.
        planned: Rollouts that were planned.
        completed: Rollouts that came back.
        unscored: Of these, without a score: counted against either verdict.
        skipped: Rollouts that were not begun, since they could change nothing.
    """

    alpha: float
    verdict: Verdict
    decided_at: int | None
    k: NonNegativeInt
    n: NonNegativeInt
    lower: Rate
    upper: Rate
    log_e_pass: float
    log_e_fail: float
    planned: NonNegativeInt
    completed: NonNegativeInt
    unscored: NonNegativeInt
    skipped: NonNegativeInt


class Stopped(_Record):
    """What a run with `-T stop=` decided.

    Attributes:
        version: Of this record.
        detector: The score that was counted.
        settings: What was to be decided.
        verdict: FAIL if any alpha fails, PASS if all pass.
        cells: The alphas of the sweep.
        skipped: Rollouts that were not begun, of all arms.
    """

    version: Literal["inspect_lda.stopped/1"] = SCHEMA
    detector: str
    settings: Settings
    verdict: Verdict
    cells: tuple[StoppedCell, ...]
    skipped: int


def stopped_of(log: "EvalLog") -> Stopped | None:
    """The decision in a log (its header is enough); None if it was not stopped by us.

    Raises:
        LDAError: If it is there and cannot be read.
    """
    summary = log.results.early_stopping if log.results else None
    if summary is None or summary.manager != MANAGER:
        return None
    return _read(log.location, summary.metadata)


def _read(where: str, found: Mapping[str, Any]) -> Stopped:
    try:
        return Stopped.model_validate(dict(found))
    except ValidationError as error:
        first = error.errors()[0]
        raise LDAError(
            f"{where}: its record of early stopping cannot be read: "
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}. Need {SCHEMA}"
        ) from error
