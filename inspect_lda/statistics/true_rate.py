"""How often the model itself does it, from rollouts that were amplified.

`true_rate` chooses an estimator, says why, and gives a number only where the validity
rule holds; else what would make it so.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from inspect_lda.errors import LDAError, one_of
from inspect_lda.statistics.drawn import Cut, Rollout, cut
from inspect_lda.statistics.intervals import Interval, clopper_pearson
from inspect_lda.statistics.known import hazards, known_start
from inspect_lda.statistics.measured import Method, PromptRate, TrueRate
from inspect_lda.statistics.paths import magnitude
from inspect_lda.statistics.plain import plain_needed
from inspect_lda.statistics.plan import plan
from inspect_lda.statistics.validity import PLAIN_HITS, diagnose, refusals
from inspect_lda.statistics.weighted import (
    effective,
    population_interval,
    rate_interval,
)
from inspect_lda.statistics.weights import Weighed, importance, mixture

HIDDEN = (
    "ways of the behaviour that amplification makes no more frequent are seen only as "
    "often as in plain rollouts: the plain check alone bounds them"
)


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
            Where the weights are refused and the behaviour shows at alpha 0 as it is,
            plain counting.
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
    tokens = () if isinstance(rollouts, Cut) else rollouts
    weighed, why = _choose(tokens, found, method, phrase)
    judged = _judged(weighed, found, tokens, why, confidence)
    if method == "auto" and judged.refused and _counts(found):
        why = "alpha 0 has hits enough to count; weights were refused: " + "; ".join(
            judged.refused
        )
        return _judged(importance(found, 0.0), found, tokens, why, confidence)
    return judged


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
        population=population_interval(rates, confidence),
        bound="exact",
        diagnostics=None,
        prompts=_sorted(prompts),
    )


def _choose(
    rollouts: Sequence[Rollout], found: Cut, method: Method, phrase: int | None
) -> tuple[Weighed, str]:
    if method == "hazard" or (method == "auto" and phrase is not None):
        if phrase is None or not rollouts:
            raise LDAError(
                "method='hazard': needs phrase=, the tokens of the phrase, and "
                "rollouts with their hazard"
            )
        return hazards(rollouts, phrase), "the phrase was scored along plain rollouts"
    if method == "plain" or (method == "auto" and found.alphas == (0.0,)):
        return importance(found, 0.0), "plain counting: nothing was amplified"
    if method == "mixture" or (method == "auto" and found.pooled):
        return mixture(found), "evidence at all alphas: every rollout is pooled"
    tried = [importance(found, alpha) for alpha in found.alphas if alpha]
    best = max(tried, key=lambda one: effective(one.contribution))
    return best, (
        f"alpha {best.alphas[0]:g} alone has the most effective hits of the sweep; "
        "evidence at the other alphas would pool them"
    )


def _counts(found: Cut) -> bool:
    """Whether plain rollouts of every prompt show the behaviour as it is."""
    if 0.0 not in found.alphas:
        return False
    plain = found.only(0.0)
    everywhere = len(np.unique(plain.prompt)) == len(plain.prompts)
    return everywhere and int(plain.hit.sum()) >= PLAIN_HITS


def _judged(
    weighed: Weighed,
    found: Cut,
    rollouts: Sequence[Rollout],
    why: str,
    confidence: float,
) -> TrueRate:
    """Apply the validity rule. Plain counting needs none: its interval is exact."""
    plain = weighed.method == "plain"
    own = found if len(weighed.alphas) > 1 else found.only(weighed.alphas[0])
    interval = (
        clopper_pearson(weighed.rate * len(own), len(own), confidence)
        if plain
        else rate_interval(weighed, confidence)
    )
    diagnostics = diagnose(weighed, found)
    refused = () if plain else refusals(diagnostics, interval)
    tokens = rollouts if len(own) == len(rollouts) else ()
    valid, width = not refused, interval.upper - interval.lower
    return TrueRate(
        method=weighed.method,
        why=why,
        rate=weighed.rate if valid else None,
        interval=interval if valid else None,
        population=population_interval(weighed.by_prompt, confidence)
        if valid
        else None,
        bound="lower" if found.lower and not plain else "exact",
        diagnostics=diagnostics,
        refused=refused,
        plan=None if valid else plan(weighed, own, tokens),
        magnitude=None if valid else magnitude(found) or magnitude(found, "rates"),
        plain_rollouts=plain_needed(weighed.rate, width, confidence) if valid else None,
        prompts=_by_prompt(weighed),
        notes=() if plain or weighed.method == "hazard" else (*found.lower, HIDDEN),
    )


def _by_prompt(weighed: Weighed) -> tuple[PromptRate, ...]:
    rows = []
    for index, name in enumerate(weighed.prompts):
        own = weighed.contribution[weighed.prompt == index]
        rate = float(weighed.by_prompt[index])
        total = weighed.rate * len(weighed.prompts)
        share = rate / total if total else 0.0
        hits = int(np.count_nonzero(own))
        rows.append(PromptRate(name, rate, share, hits, effective(own), len(own)))
    return _sorted(rows)


def _sorted(rows: list[PromptRate]) -> tuple[PromptRate, ...]:
    return tuple(sorted(rows, key=lambda row: (-row.rate, row.prompt)))
