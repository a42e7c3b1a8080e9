"""What a budget of rollouts would have caught: from a pair that is known to do it."""

from collections.abc import Mapping
from typing import NamedTuple

from inspect_lda.errors import LDAError
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.intervals import clopper_pearson
from inspect_lda.statistics.rates import rollouts_needed


class Caught(NamedTuple):
    """How likely a budget is to hold a hit of a planted pair.

    Attributes:
        alpha: Where it is likeliest.
        rate: Lower bound of the plant's rate there.
        chance: At least so likely is one hit or more.
        needed: Rollouts at that alpha for the confidence; infinite without hits.
    """

    alpha: float
    rate: float
    chance: float
    needed: float


def caught(
    plant: Mapping[float, Cluster],
    rollouts: Mapping[float, int],
    confidence: float = 0.95,
) -> Caught:
    """The chance that a budget catches a plant, at the alpha that serves best.

    Any alpha may find it, but only one can be counted on, and which one the data say:
    the bounds of all alphas hold together (Bonferroni). Nothing is extrapolated to
    doses or alphas that were not run.

    Args:
        plant: Hits and rollouts of the planted pair by alpha.
        rollouts: The budget by alpha.
        confidence: Of the bounds, and the chance that `needed` is for.

    Raises:
        LDAError: If they share no alpha above 0.
    """
    shared = sorted(alpha for alpha in plant if alpha > 0 and alpha in rollouts)
    if not shared:
        raise LDAError(
            f"the plant was run at alphas {sorted(plant)}, the budget is for "
            f"{sorted(rollouts)}: none above 0 is in both"
        )
    kept = 1 - (1 - confidence) / len(shared)
    found = []
    for alpha in shared:
        rate = clopper_pearson(*plant[alpha], kept, "lower").lower
        chance = 1 - (1 - rate) ** rollouts[alpha]
        found.append(Caught(alpha, rate, chance, rollouts_needed(rate, confidence)))
    return max(found, key=lambda one: (one.chance, one.rate, -one.alpha))
