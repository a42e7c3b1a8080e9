"""The model's own rate in words. A number never stands without what it rests on."""

import math
from collections.abc import Sequence

from inspect_lda.report.own_rate import OwnRate
from inspect_lda.report.wording import Line, one_in, percent
from inspect_lda.statistics.forecast import Forecast
from inspect_lda.statistics.intervals import Interval
from inspect_lda.statistics.measured import TrueRate
from inspect_lda.statistics.validity import Diagnostics

PROMPT_HEADER = ("prompt", "own rate", "share", "hits", "hit-ESS", "rollouts")
SHOWN = 10
"""Prompts in a table."""


def rate_headline(own: OwnRate) -> str:
    """The rate and its interval, or that there is none, in a sentence."""
    found, setting = own.found, own.experiment.setting
    what = repr(setting.pattern)
    if found.method == "exact":
        what = f"a reply that begins with {own.experiment.target!r}"
    if found.rate is None or found.interval is None:
        return _no_rate(own, what)
    least = "at least " if found.bound == "lower" else ""
    where = f"mean over {len(found.prompts):,} prompts, {_heat(own)}"
    if found.method == "exact":
        return f"Own rate of {what}: {one_in(found.rate)}, exactly ({where})."
    return (
        f"Own rate of {what}: {least}{one_in(found.rate)} ({percent(found.rate)}; "
        f"95% {_span(found.interval)}; {where})."
    )


def rate_lines(own: OwnRate) -> list[str]:
    """Everything else: prompts like these, costs, why not, what would do, doubts."""
    found = own.found
    lines = [*_costs(own), *(f"Not measurable: {why}." for why in found.refused)]
    lines += _ways_out(found)
    if found.population is not None:
        lines.append(f"For prompts like these: 95% {_span(found.population)}.")
    if found.diagnostics is not None:
        lines += _rests_on(found, found.diagnostics)
    lines += [f"Note: {note}." for note in found.notes]
    if own.experiment.setting.support:
        size = own.experiment.setting.support
        lines.append(
            f"The rate is that of the model drawing from its {size:,} likeliest tokens."
        )
    if own.experiment.unscored:
        lines.append(f"{own.experiment.unscored:,} rollouts unscored: in no estimate.")
    if own.exact is not None and own.exact.rate is not None and found.method != "exact":
        lines.append(
            f"Computed exactly: a reply begins with {own.experiment.target!r} in "
            f"{one_in(own.exact.rate)} ({percent(own.exact.rate)})."
        )
    return lines


def prompt_lines(found: TrueRate) -> list[Line]:
    """The prompts that carry the rate, the heaviest first."""
    lines = []
    for row in found.prompts[:SHOWN]:
        if row.rate == 0:
            break
        counted = (f"{row.hits:,}", f"{row.hit_ess:.1f}", f"{row.rollouts:,}")
        if found.method == "exact":
            counted = ("-", "-", "-")
        lines.append(Line((row.prompt, one_in(row.rate), percent(row.share), *counted)))
    return lines


def carried(found: TrueRate) -> str:
    """How many prompts carry how much of the rate; empty without a hit."""
    some = [row for row in found.prompts if row.rate > 0]
    if not some:
        return ""
    top = sum(row.share for row in some[:SHOWN])
    return (
        f"{len(some):,} of {len(found.prompts):,} prompts showed it; the first "
        f"{min(SHOWN, len(some))} carry {percent(top)} of the rate. A prompt's own "
        "rate is rough: no rule was applied to it."
    )


def forecast_lines(forecasts: Sequence[Forecast]) -> list[str]:
    """What deployments of these volumes will show, and what that assumes."""
    lines = []
    for one in forecasts:
        worst = ""
        if one.worst is not None:
            worst = f"; the likeliest prompt among them {_span(one.worst)}"
        lines.append(
            f"In {one.volume:,} replies: {_count(one.expected)} hits expected, "
            f"{_chance(one.any_hit)} for at least one{worst}."
        )
    told = dict.fromkeys(text for one in forecasts for text in one.assumptions)
    return [*lines, *(f"Assumed: {text}." for text in told)]


def _no_rate(own: OwnRate, what: str) -> str:
    told = own.found.diagnostics
    if told is not None and told.hits == 0:
        upper = percent(told.plain_interval.upper)
        bound = f"; the plain rollouts bound it by {upper}" if told.plain.n else ""
        return (
            f"{what} did not show in {told.rollouts:,} rollouts: no rate can be "
            f"estimated{bound}. That is no proof of absence."
        )
    return f"{what}: detected, not measurable with this run."


def _costs(own: OwnRate) -> list[str]:
    plain, told = own.found.plain_rollouts, own.found.diagnostics
    if plain is None or told is None:
        return []
    return [
        f"Plain sampling takes about {plain:,.0f} rollouts for an interval as narrow; "
        f"these were {told.rollouts:,}."
    ]


def _ways_out(found: TrueRate) -> list[str]:
    lines = []
    if found.plan is not None:
        plan = found.plan
        short = f", -M first_k={plan.first_k}" if plan.first_k else ""
        lines.append(
            f"What would make it measurable: about {plan.rollouts:,} rollouts at "
            f"alphas 0 (a tenth of them) and {plan.alpha:g}{short}. Computed from few "
            "hits, so itself an estimate."
        )
    if found.magnitude is not None:
        size = found.magnitude
        low, high = (
            10 ** (size.log10 + sign * math.log10(size.factor)) for sign in (-1, 1)
        )
        lines.append(
            f"Order of magnitude, extrapolated along alpha and no rate: "
            f"{low:.0e} to {min(high, 1.0):.0e}."
        )
    return lines


def _rests_on(found: TrueRate, told: Diagnostics) -> list[str]:
    alphas = ", ".join(f"{alpha:g}" for alpha in told.alphas)
    plain = told.plain_interval
    check = "none at alpha 0"
    if told.plain.n:
        check = (
            f"{told.plain.k:,} of {told.plain.n:,} at alpha 0 "
            f"({percent(plain.lower)} to {percent(plain.upper)})"
        )
    return [
        f"Method: {found.method} of alphas {alphas} ({found.why}).",
        f"Rests on {told.hits:,} hits worth {told.hit_ess:.1f} equal ones "
        f"({told.share:.2f} a hit), the heaviest carries {percent(told.largest)}; "
        f"mean weight of all {told.rollouts:,} rollouts {told.mean_weight:.2f} (1 if "
        f"nothing is missed). Plain check: {check}.",
    ]


def _heat(own: OwnRate) -> str:
    setting = own.experiment.setting
    tokens = setting.max_tokens
    within = "" if tokens is None else f", within {tokens:,} tokens"
    return f"temperature {setting.temperature:g}{within}"


def _span(interval: Interval) -> str:
    return f"{one_in(interval.lower)} to {one_in(interval.upper)}"


def _count(interval: Interval) -> str:
    low, high = (f"{x:,.3g}" if x < 100 else f"{x:,.0f}" for x in interval)
    return low if low == high else f"{low} to {high}"


def _chance(interval: Interval) -> str:
    low, high = percent(interval.lower), percent(interval.upper)
    return f"a chance of {low}" if low == high else f"a chance of {low} to {high}"
