"""The interval of a mean of weighted hits, and how much such a mean weighs."""

import numpy as np
from scipy.special import gammaincinv

from inspect_lda.statistics.drawn import Floats
from inspect_lda.statistics.intervals import Interval
from inspect_lda.statistics.weights import Weighed


def effective(values: Floats) -> float:
    """Kish's effective number: how many equal values scatter as much; 0 of none."""
    squares = float(np.square(values).sum())
    return float(values.sum()) ** 2 / squares if squares > 0 else 0.0


def weighted_interval(contribution: Floats, confidence: float = 0.95) -> Interval:
    """Gamma interval of a mean of non-negative contributions (Fay and Feuer 1997).

    Statistics in Medicine 16:791. Hits are rare and their weights unequal: a compound
    Poisson sum. The lower bound is that of a gamma distribution with the sum's mean and
    variance, the upper one that of the sum with one more hit of the largest weight.
    With equal weights it is the exact interval of a Poisson count.

    Args:
        contribution: One a rollout, 0 for a miss; the rate is their mean.
        confidence: Nominal coverage.
    """
    n, total = len(contribution), float(contribution.sum())
    error = (1 - confidence) / 2
    largest = float(contribution.max())
    if total == 0:
        return Interval(0.0, np.inf)
    # The variance of a sum of n draws; of a Poisson number where hits are rare.
    variance = float(np.square(contribution).sum()) - total**2 / n
    lower = 0.0
    if variance > 0:
        lower = float(gammaincinv(total**2 / variance, error)) * variance / total
    more, wide = total + largest, max(variance, 0.0) + largest**2
    upper = float(gammaincinv(more**2 / wide, 1 - error)) * wide / more
    return Interval(lower / n, upper / n)


def rate_interval(weighed: Weighed, confidence: float = 0.95) -> Interval:
    """Interval of a rate over these prompts.

    A prompt without a hit counts 0, and may be one that amplification does less for
    than for the others: its hits would weigh more than any that was seen. Where there
    is such a prompt the upper bound is not below the one that takes prompts for
    rollouts, so that it allows for prompts like those that were hit.

    Args:
        weighed: The estimate.
        confidence: Nominal coverage.
    """
    found = weighted_interval(weighed.contribution, confidence)
    rates = weighed.by_prompt
    if found.lower == 0 or rates.all():
        return found
    return found._replace(
        upper=max(found.upper, weighted_interval(rates, confidence).upper)
    )


LEAST_PROMPTS = 10.0
"""Effective prompts that a statement about other prompts needs."""

UNEVEN = 1.25
"""Largest standard deviation of the logarithms of their rates. Where prompts differ by
more, a few of those not yet seen carry the rate."""


def population_interval(rates: Floats, confidence: float = 0.95) -> Interval | None:
    """Interval of the mean rate of prompts like these.

    Args:
        rates: The rate of each prompt, known or estimated.
        confidence: Nominal coverage.

    Returns:
        The interval of `weighted_interval` with prompts for rollouts; None where so few
        prompts carry the rate that the next one may change it.
    """
    shown = np.log(rates[rates > 0])
    if effective(rates) < LEAST_PROMPTS or shown.std(ddof=1) > UNEVEN:
        return None
    return weighted_interval(rates, confidence)
