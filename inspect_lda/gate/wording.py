"""Decisions as sentences: one wording for every format."""

import math
from typing import TYPE_CHECKING

from inspect_lda.gate.policy import Policy
from inspect_lda.gate.report import Decision, Detection, GateReport, Verdict
from inspect_lda.report.wording import above, below, confident, one_in, percent
from inspect_lda.statistics.bounds import Binomial
from inspect_lda.statistics.stratified import Compared

if TYPE_CHECKING:
    from inspect_lda.gate.lod import Limit

CAVEAT = (
    "A rate under amplification is a detection, not the model's own rate. No hits are "
    "a bound on the rate at that alpha on such prompts, never a proof of absence."
)


def hits_in(k: int, n: int) -> str:
    """A count, as it is said."""
    return f"{k:,} hit{'' if k == 1 else 's'} in {n:,} rollouts"


def rate_said(made: Decision, policy: Policy) -> str:
    """What a decision rests on, in a sentence."""
    if made.rule == "baseline":
        return _increase_said(made, policy)
    if made.rule == "max_hits":
        return (
            f"{hits_in(made.k or 0, made.n or 0)}, at most {made.limit:g} allowed; the "
            f"rate at alpha {made.alpha:g} is below {below(made.upper or 0)}."
        )
    if made.rule == "true_rate":
        return made.said
    seen = hits_in(made.k or 0, made.n or 0)
    where = "" if policy.estimand == "prompt_set" else ", for prompts like these"
    bound = (
        f"the rate at alpha {made.alpha:g} is below {below(made.upper or 0)} with "
        f"{confident(policy.confidence)} confidence{where}"
    )
    if made.outcome == "PASS":
        return f"{seen}: {bound}; the limit is {percent(made.limit)}."
    if made.outcome == "FAIL":
        return (
            f"{seen}: the rate at alpha {made.alpha:g} is above "
            f"{above(made.lower or 0)}{where}; {percent(made.ok or 0)} is acceptable "
            f"(p = {made.adjusted or 0:.2g} for all claims together)."
        )
    short = f"that does not reach {percent(made.limit)}."
    return f"{seen}: {bound}; {short}{missing_said(made)}"


def missing_said(made: Decision) -> str:
    """How much is missing, in a sentence; empty where that is known to be nothing."""
    if made.outcome != "INCONCLUSIVE":
        return ""
    if made.missing is None:
        return (
            " More of the same would not decide: the rate is at the limit, or the "
            "judge's own errors are as large."
        )
    more = f" About {made.missing:,} more {made.unit} like these"
    if made.rule == "baseline":
        more += ", and as many times the baseline's,"
    return f"{more} would decide."


def against(base: Binomial, compared: Compared) -> str:
    """The other release, for a sentence."""
    return (
        f"{int(base.k):,} of {int(base.n):,} in the baseline; {compared.expected:.1f} "
        f"expected on the {compared.strata:,} prompts that tell"
    )


def would_be(report: GateReport) -> str:
    """What stands above the decisions of logs that decide nothing; else empty."""
    if report.verdict != "INVALID" or not report.decisions:
        return ""
    return "What the counts would say if these logs were sound, and do not say now:"


def headline(verdict: Verdict, report: GateReport) -> str:
    """The verdict in a sentence."""
    if verdict == "INVALID":
        names = ", ".join(dict.fromkeys(check.name for check in report.failed))
        return f"These logs decide nothing: {names}."
    failed = [one for one in report.decisions if one.outcome == "FAIL"]
    if verdict == "FAIL":
        worst = max(failed, key=lambda one: (one.rate or 0.0, one.rule))
        return f"{_where(worst)}: {worst.said}"
    if verdict == "INCONCLUSIVE":
        open_ = [one for one in report.decisions if one.outcome == "INCONCLUSIVE"]
        worst = max(open_, key=lambda one: one.missing or float("inf"))
        return f"{_where(worst)}: {worst.said}"
    bounds = [one.upper for one in report.decisions if one.rule == "max_rate"]
    weakest = below(max(b for b in bounds if b is not None))
    return (
        f"Every rate is below its limit with {confident(report.confidence)} "
        f"confidence; the weakest bound is {weakest}."
    )


def detection_said(found: Detection) -> str:
    """A limit of detection in a sentence."""
    verb = "would have" if found.caught else "might not have"
    return (
        f"This budget {verb} caught {found.plant}, which shows the behaviour "
        f"{_often(found.dose)} unamplified: a hit with a chance of at least "
        f"{_at_least(found.chance)}, at alpha {found.alpha:g}."
    )


def _at_least(chance: float) -> str:
    """Cut and not rounded: 0.9998 is no 100%."""
    return f"{math.floor(1000 * chance) / 10:g}%"


def limit_lines(found: "Limit") -> list[str]:
    """A limit of detection, dose by dose."""
    lines = [
        f"{found.rollouts:,} rollouts at each alpha, {confident(found.confidence)}:"
    ]
    for one in found.doses:
        need = "unknown" if one.needed is None else f"{one.needed:,}"
        lines.append(
            f"  {'caught' if one.caught else 'missed'}: {one.plant}, "
            f"{_often(one.dose)} unamplified: {one.k}/{one.n} at alpha "
            f"{one.alpha:g}; chance of a hit at least {_at_least(one.chance)}, plain "
            f"{percent(one.plain)}; {need} rollouts needed"
        )
    if found.smallest is None:
        return [*lines, "No dose that was run is caught by this budget."]
    return [*lines, f"This budget would have caught {_often(found.smallest)}."]


def _often(rate: float) -> str:
    return one_in(rate) if rate < 0.1 else f"in {percent(rate)} of its replies"


def _increase_said(made: Decision, policy: Policy) -> str:
    seen = f"{made.k:,} of {made.n:,} rollouts hit, {made.said}"
    rise = (
        f"the rate is at most {below(max(0.0, made.upper or 0))} above the "
        f"baseline's with {confident(policy.confidence)} confidence"
    )
    if made.outcome == "PASS":
        return f"{seen}: {rise}; {percent(made.limit)} is allowed."
    if made.outcome == "FAIL":
        return (
            f"{seen}: more than the baseline (exact test within prompts, p = "
            f"{made.adjusted or 0:.2g} for all claims together)."
        )
    short = f"that does not reach {percent(made.limit)}."
    return f"{seen}: {rise}; {short}{missing_said(made)}"


def _where(made: Decision) -> str:
    at = "" if made.alpha is None else f" at alpha {made.alpha:g}"
    return f"{made.behaviour}{at}"
