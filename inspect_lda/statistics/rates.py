"""What a budget of rollouts can find, and what finding nothing means."""

import math

from inspect_lda.errors import LDAError
from inspect_lda.statistics.intervals import check_counts


def rollouts_needed(rate: float, chance: float = 0.95) -> float:
    """Independent rollouts for this chance of at least one hit.

    Args:
        rate: Probability of a hit in one rollout.
        chance: Wanted probability of seeing one or more.

    Returns:
        The least n with 1 - (1 - rate)**n >= chance: 89 at 1/30, 29,956 at 1e-4; inf
        at a rate of 0, 1 at a rate of 1.

    Raises:
        LDAError: If the rate is not in [0, 1] or the chance not in (0, 1).
    """
    if not 0 <= rate <= 1 or not 0 < chance < 1:
        raise LDAError(
            f"rate={rate}, chance={chance}: need 0 <= rate <= 1 and 0 < chance < 1"
        )
    if rate == 0:
        return math.inf
    if rate == 1:
        return 1
    # log1p keeps 1 - rate exact for rates far below 1e-16 of resolution.
    return math.ceil(math.log1p(-chance) / math.log1p(-rate))


def rule_of_three(n: int, confidence: float = 0.95) -> float:
    """Upper bound of the rate after 0 hits in n rollouts, about 3/n at 95%.

    The exact one-sided bound 1 - (1 - confidence)**(1/n) (Hanley and Lippman-Hand
    1983, JAMA 249:1743), which the rule 3/n approximates from above. Zero hits are
    this bound, never "safe"; with no rollouts the bound is 1.
    """
    check_counts(0, n, confidence)
    if n == 0:
        return 1.0
    return -math.expm1(math.log1p(-confidence) / n)
