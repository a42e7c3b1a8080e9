"""The limit of detection: would this budget have caught a pair that is known to do it?

A planted pair is run under the same protocol. Its rate at each alpha bounds from below
how likely one rollout would have been a hit; with the release's own number of rollouts
that is the chance of at least one. Nothing is extrapolated to doses that were not run.
"""

from collections.abc import Iterator

from inspect_lda.arms import SWEEP
from inspect_lda.errors import LDAError
from inspect_lda.gate.case import Arms, Case
from inspect_lda.gate.policy import Policy
from inspect_lda.gate.protocol import differences
from inspect_lda.gate.report import Detection
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.detection import caught


def detections(case: Case, policy: Policy) -> Iterator[Detection]:
    """One statement a planted pair, the smallest dose first.

    Raises:
        LDAError: If a plant's dose is not known, or it was not run like the release.
    """
    found = [_detection(case, plant, policy) for plant in case.planted]
    yield from sorted(found, key=lambda one: one.dose)


def _detection(case: Case, plant: Arms, policy: Policy) -> Detection:
    log = plant.logs[0]
    differ = differences([case.candidate.logs[0], *plant.logs], pair=False)
    shared = [alpha for alpha in case.alphas if alpha in plant.swept and alpha > 0]
    if differ or not shared:
        raise LDAError(
            f"--planted {log.location}: not run as the release was: it differs in "
            f"{differ or 'its alphas'}. Run the same task with the same options on it"
        )
    cells = case.candidate.cells
    best = caught(
        {alpha: _cluster(plant, alpha) for alpha in shared},
        {alpha: len(cells[SWEEP, alpha]) for alpha in shared},
        policy.confidence,
    )
    return Detection(
        behaviour=case.label,
        plant=log.model.partition("(")[0],
        dose=_dose(plant, policy),
        chance=best.chance,
        alpha=best.alpha,
        caught=best.chance >= policy.confidence,
    )


def _cluster(plant: Arms, alpha: float) -> Cluster:
    found = plant.clusters((SWEEP, alpha)).values()
    return Cluster(sum(one.k for one in found), sum(one.n for one in found))


def _dose(plant: Arms, policy: Policy) -> float:
    log = plant.logs[0]
    name = log.model.partition("(")[0]
    dose = policy.plants.get(name)
    if dose is None:
        dose = log.dose()
    if dose is None:
        raise LDAError(
            f"--planted {log.location}: how often does {name} show it unamplified? The "
            f"log has no exact probability, so say it: plants: {{{name}: RATE}}"
        )
    return dose
