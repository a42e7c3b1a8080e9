"""How often the model itself does it, from rollouts that were amplified.

`true_rate` chooses an estimator, says why, and prints a number only where the validity
rule holds; else what would make it so.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from inspect_lda.errors import LDAError, one_of
from inspect_lda.statistics.drawn import Cut, Floats, Rollout, cut
from inspect_lda.statistics.intervals import Interval
from inspect_lda.statistics.known import hazards, known_start
from inspect_lda.statistics.measured import Method, PromptRate, TrueRate
from inspect_lda.statistics.validity import diagnose, plain_needed, refusals
from inspect_lda.statistics.weighted import effective, weighted_interval
from inspect_lda.statistics.weights import Weighed, importance, mixture


def true_rate(
    rollouts: Sequence[Rollout] | Cut = (),
    *,
    method: Method = "auto",
    known: Mapping[str, float] | None = None,
    phrase: int | None = None,
    confidence: float = 0.95,
) -> TrueRate:
    """Estimate the model's own rate of a behaviour.

    Args:
        rollouts: Scored rollouts of one experiment: all prompts, all alphas.
        method: An estimator, or "auto": exact where the string is known, the hazard of
            a phrase where it was scored along plain rollouts, else the mixture of all
            alphas, or the best single alpha where evidence at the others is missing.
        known: log P(the string starts the reply) under `after`, by prompt, where the
            behaviour is a known start.
        phrase: Tokens of the phrase whose hazard the rollouts carry.
        confidence: Nominal coverage.

    Raises:
        LDAError: If the method is unknown or its evidence is missing.
    """
    one_of("method", method, Method)
    if method == "exact" or (method == "auto" and known):
        return _exact(known or {}, confidence)
    found = rollouts if isinstance(rollouts, Cut) else cut(rollouts)
    weighed, why = _choose(rollouts, found, method, phrase)
    return _judged(weighed, found, why, confidence)


def _exact(known: Mapping[str, float], confidence: float) -> TrueRate:
    rates = known_start(known)
    rate = float(rates.mean())
    prompts = [
        PromptRate(name, float(p), float(p / rates.sum()) if rate else 0.0, 0, 0.0, 0)
        for name, p in zip(known, rates, strict=True)
    ]
    return TrueRate(
        method="exact",
        why="the behaviour is a known start: its probability was computed, not sampled",
        rate=rate,
        interval=Interval(rate, rate),
        population=_population(rates, confidence),
        bound="exact",
        diagnostics=None,
        prompts=_sorted(prompts),
    )


def _choose(
    rollouts: Sequence[Rollout] | Cut, found: Cut, method: Method, phrase: int | None
) -> tuple[Weighed, str]:
    if method == "hazard" or (method == "auto" and phrase is not None):
        if isinstance(rollouts, Cut) or phrase is None:
            raise LDAError(
                "method='hazard': needs phrase=, the tokens of the phrase, and "
                "rollouts with their hazard"
            )
        return hazards(rollouts, phrase), "the phrase was scored along plain rollouts"
    if method == "plain":
        return importance(found, 0.0), "asked for: plain counting"
    if method == "mixture" or (method == "auto" and found.pooled):
        return mixture(found), "evidence at all alphas: every rollout is pooled"
    tried = [importance(found, alpha) for alpha in found.alphas]
    best = max(tried, key=lambda one: effective(one.contribution))
    return best, (
        f"alpha {best.alphas[0]:g} alone has the most effective hits of the sweep; "
        "evidence at the other alphas would pool them"
    )


def _judged(weighed: Weighed, found: Cut, why: str, confidence: float) -> TrueRate:
    diagnostics = diagnose(weighed, found)
    refused = refusals(diagnostics)
    interval = weighted_interval(weighed.contribution, confidence)
    valid = not refused
    return TrueRate(
        method=weighed.method,
        why=why,
        rate=weighed.rate if valid else None,
        interval=interval if valid else None,
        population=_population(weighed.by_prompt, confidence) if valid else None,
        bound="lower" if found.lower_bound else "exact",
        diagnostics=diagnostics,
        refused=refused,
        plain_rollouts=plain_needed(
            weighed.rate, interval.upper - interval.lower, confidence
        )
        if valid
        else None,
        prompts=_by_prompt(weighed, found),
    )


def _population(rates: Floats, confidence: float) -> Interval | None:
    if effective(rates) < 10:
        return None
    return weighted_interval(rates, confidence)


def _by_prompt(weighed: Weighed, found: Cut) -> tuple[PromptRate, ...]:
    rows = []
    for index, name in enumerate(found.prompts):
        own = weighed.contribution[weighed.prompt == index]
        rate = float(weighed.by_prompt[index])
        share = rate / (weighed.rate * weighed.prompts) if weighed.rate else 0.0
        hits = int(np.count_nonzero(own))
        rows.append(PromptRate(name, rate, share, hits, effective(own), len(own)))
    return _sorted(rows)


def _sorted(rows: list[PromptRate]) -> tuple[PromptRate, ...]:
    return tuple(sorted(rows, key=lambda row: (-row.rate, row.prompt)))
