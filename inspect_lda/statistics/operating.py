"""What a sequential test does at a given true rate: exact, by recursion over counts."""

from typing import NamedTuple

import numpy as np

from inspect_lda.errors import LDAError
from inspect_lda.statistics.sequential import RateTest, bounds


class Operating(NamedTuple):
    """How a test ends when every rollout hits with one probability.

    Attributes:
        passes: Probability of a PASS.
        fails: Probability of a FAIL.
        still: Probability that the budget ends first.
        rollouts: Expected rollouts.
    """

    passes: float
    fails: float
    still: float
    rollouts: float


def operating(test: RateTest, rate: float, budget: int) -> Operating:
    """Chances and expected cost of a test.

    Args:
        test: The test.
        rate: True probability of a hit.
        budget: Most rollouts.

    Raises:
        LDAError: If the rate is no probability or the budget not positive.
    """
    if not 0 <= rate <= 1 or budget < 1:
        raise LDAError(
            f"rate={rate}, budget={budget}: need 0 <= rate <= 1 and a budget of 1 or "
            "more rollouts"
        )
    limit = bounds(test, budget)
    # Beyond the last bound every count fails at once, so no state is needed there.
    states = len(limit.fails)
    k = np.arange(states)
    pass_at = np.full(states, budget + 1)
    shared = min(states, len(limit.passes))
    pass_at[:shared] = limit.passes[:shared]
    running = np.zeros(states)
    running[0] = 1.0
    passes = fails = rollouts = 0.0
    for n in range(1, budget + 1):
        alive = float(running.sum())
        if alive < 1e-12:
            break
        rollouts += alive
        hit = running * rate
        running = running * (1 - rate)
        running[1:] += hit[:-1]
        fails += float(hit[-1])
        done, failed = n >= pass_at, n <= limit.fails[k]
        passes += float(running[done].sum())
        fails += float(running[failed & ~done].sum())
        running[done | failed] = 0.0
    return Operating(passes, fails, float(running.sum()), rollouts)
