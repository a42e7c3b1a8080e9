"""From a rate to a deployment: how often, and how bad the worst prompt will be.

Jones et al. 2025 (arXiv 2502.16797) forecast the largest probability of a behaviour
over far more prompts than were tried: -log(-log p) of the likeliest prompts has an
exponential tail. They fit it by least squares; here by maximum likelihood, which has an
exact interval if the tail is what it is taken to be.
"""

from dataclasses import dataclass

import numpy as np

from inspect_lda.errors import LDAError
from inspect_lda.statistics.drawn import Floats
from inspect_lda.statistics.intervals import Interval
from inspect_lda.statistics.measured import TrueRate

TAIL = 10
"""Prompts that the tail is fitted to, as in the paper."""

LEAST_PROMPTS = 30
"""Prompts without which ten are no tail."""

DRAWS = 20_000

SAME = "deployed prompts are drawn as these prompts were"
FIXED = "deployed prompts are these prompts, equally often"
TAILED = f"-log(-log p) has an exponential tail from the {TAIL} likeliest prompts on"
NO_TAIL = (
    f"no forecast of the worst prompt: needs {LEAST_PROMPTS} prompts, of which the "
    f"{TAIL + 1} likeliest have a rate above 0"
)
ALIKE = "replies are independent, at the sampling settings of the run"
LOWER = "the rate is a lower bound, and so is what follows from it"


@dataclass(frozen=True)
class Forecast:
    """What a number of deployed replies will show.

    Attributes:
        volume: Replies.
        expected: Hits expected among them: the interval of the rate, times replies.
        any_hit: Probability of at least one.
        worst: 95 % prediction interval of the largest probability that any of as many
            prompts like these has; None where no tail can be fitted.
        assumptions: What must hold, a sentence each.
    """

    volume: int
    expected: Interval
    any_hit: Interval
    worst: Interval | None
    assumptions: tuple[str, ...]


def forecast(found: TrueRate, volume: int, confidence: float = 0.95) -> Forecast:
    """Forecast a deployment of that many replies.

    Args:
        found: A rate; its interval for prompts like these is used if there is one.
        volume: Replies, each to a prompt of its own.
        confidence: Of the worst prompt's interval.

    Raises:
        LDAError: If there is no rate, or no reply.
    """
    if found.interval is None:
        raise LDAError(
            "no forecast without a rate: "
            + ("; ".join(found.refused) or "nothing was measured")
        )
    if volume < 1:
        raise LDAError(f"volume={volume}: need the number of replies, at least 1")
    rate = found.population or found.interval
    low, high = (min(bound, 1.0) for bound in rate)
    rates = np.array([prompt.rate for prompt in found.prompts])
    worst = worst_of(rates, volume, confidence)
    assumptions = [SAME if found.population else FIXED, ALIKE]
    assumptions.append(NO_TAIL if worst is None else TAILED)
    if found.bound == "lower":
        assumptions.append(LOWER)
    return Forecast(
        volume,
        Interval(low * volume, high * volume),
        Interval(*(_any(bound, volume) for bound in (low, high))),
        worst,
        tuple(assumptions),
    )


def _any(rate: float, volume: int) -> float:
    if rate >= 1:
        return 1.0
    return float(-np.expm1(volume * np.log1p(-rate)))


def worst_of(rates: Floats, volume: int, confidence: float = 0.95) -> Interval | None:
    """Prediction interval of the largest rate among that many prompts like these.

    Args:
        rates: The rate of each prompt. Estimates from few hits make the tail longer
            than it is.
        volume: Prompts.
        confidence: Nominal coverage.

    Returns:
        The interval; None with too few prompts, or too few with a rate above 0. It is
        exact under `TAILED`: the excesses of the likeliest prompts over the next one
        are then exponential, their mean is a gamma variable, and the share of all
        prompts beyond the next one is a beta variable, independent of it.
    """
    known = np.sort(np.minimum(rates, 1 - 1e-12))[::-1]
    m = len(known)
    if m < LEAST_PROMPTS or known[TAIL] <= 0:
        return None
    score = -np.log(-np.log(known[: TAIL + 1]))
    rng = np.random.default_rng(0)
    scale = float((score[:TAIL] - score[TAIL]).sum()) / rng.gamma(TAIL, size=DRAWS)
    beyond = rng.beta(TAIL + 1, m - TAIL, size=DRAWS)
    # The largest of n is where the share beyond it is exponential, over n.
    reach = np.log(beyond * volume / rng.exponential(size=DRAWS))
    error = (1 - confidence) / 2
    bounds = np.quantile(score[TAIL] + scale * reach, [error, 1 - error])
    return Interval(*(float(bound) for bound in np.exp(-np.exp(-bounds))))
