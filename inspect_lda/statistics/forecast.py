"""From a rate to a deployment: how often, and how bad the worst prompt will be."""

from dataclasses import dataclass

from inspect_lda.statistics.intervals import Interval


@dataclass(frozen=True)
class Forecast:
    """What a number of deployed replies will show.

    Attributes:
        volume: Replies.
        expected: Hits expected among them, with the interval of the rate.
        any_hit: Probability of at least one.
        worst: Largest probability of a hit that any of that many prompts like these
            will have (Jones et al. 2025); None where no tail could be fitted.
        assumptions: What must hold, one sentence each.
    """

    volume: int
    expected: Interval
    any_hit: Interval
    worst: Interval | None
    assumptions: tuple[str, ...]
