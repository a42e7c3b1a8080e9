"""What is known of the model's own rate: a number, or why there is none."""

from dataclasses import dataclass
from typing import Literal

from inspect_lda.statistics.intervals import Interval
from inspect_lda.statistics.validity import Diagnostics

Method = Literal["auto", "exact", "hazard", "importance", "mixture", "plain"]

Bound = Literal["exact", "lower"]

Extrapolation = Literal["score", "rates"]


@dataclass(frozen=True)
class PromptRate:
    """What one prompt contributes.

    Attributes:
        prompt: The prompt.
        rate: Estimate of its own rate; rough, one prompt alone passes no rule.
        share: Of the rate over all prompts.
        hits: Hits that were weighed.
        hit_ess: Effective number of these.
        rollouts: Rollouts that were weighed.
    """

    prompt: str
    rate: float
    share: float
    hits: int
    hit_ess: float
    rollouts: int


@dataclass(frozen=True)
class Plan:
    """What would make a rate measurable; computed from the hits of this run.

    Attributes:
        alpha: Amplification, pooled with a tenth of rollouts at alpha 0.
        first_k: Tokens to amplify; None for all.
        rollouts: Rollouts in all. An estimate itself, of few hits.
    """

    alpha: float
    first_k: int | None
    rollouts: int


@dataclass(frozen=True)
class Magnitude:
    """An order of magnitude. Ranks prompts and plans runs; never a rate.

    Attributes:
        log10: Of the extrapolated rate.
        factor: Simulated cases lay within this factor of the truth 19 times of 20.
        method: "score" for counts and slopes, "rates" for counts alone.
    """

    log10: float
    factor: float
    method: Extrapolation


@dataclass(frozen=True)
class TrueRate:
    """The model's own rate, or why it cannot be told from this run.

    Attributes:
        method: The estimator that was used.
        why: Why that one, in a sentence.
        rate: Mean over the prompts of the probability of a hit; None if refused.
        interval: Its interval, for this prompt set; None if refused. No width where
            the probability is exact.
        population: The same for prompts like these; None if refused, or if too few
            prompts carry the rate to say anything of others.
        bound: "lower" if a net or a truncation kept what `after` may say from being
            drawn: the rate and its interval are then a lower bound.
        diagnostics: What the estimate rests on; None where nothing was drawn.
        refused: Why there is no rate; empty if there is one.
        plan: What would make it measurable; None if there is a rate, or no hit to
            compute it from.
        magnitude: Order of magnitude where there is no rate.
        plain_rollouts: Plain rollouts for an interval as narrow; None without one.
        prompts: By prompt, the largest share first.
        notes: What a reader must know of the number, a sentence each: why it is a
            lower bound, what no run can rule out.
    """

    method: Method
    why: str
    rate: float | None
    interval: Interval | None
    population: Interval | None
    bound: Bound
    diagnostics: Diagnostics | None
    refused: tuple[str, ...] = ()
    plan: Plan | None = None
    magnitude: Magnitude | None = None
    plain_rollouts: float | None = None
    prompts: tuple[PromptRate, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether there is a rate."""
        return self.rate is not None
