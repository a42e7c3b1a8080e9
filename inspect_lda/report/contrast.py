"""The verdict on a pair's controls in a few sentences, with the numbers behind it."""

from collections.abc import Iterable

from inspect_lda.arms import BEFORE, CONTROL, MIRROR, PLACEBO, SWEEP
from inspect_lda.report.summary import Summary
from inspect_lda.report.wording import percent
from inspect_lda.statistics.intervals import clopper_pearson
from inspect_lda.statistics.rates import rule_of_three
from inspect_lda.statistics.verdict import Count, Look, Rival, Verdict

_WHERE = {
    SWEEP: "at alpha 0",
    BEFORE: "in the model before training",
    MIRROR: "in the swapped pair",
    PLACEBO: "when the same push goes to other tokens",
    CONTROL: "in the control pair",
}


def contrast_lines(summary: Summary) -> list[str]:
    """What the arms say, and whether they can be believed; empty without a verdict."""
    verdict = verdict_text(summary.verdict) if summary.verdict else ""
    return [line for line in (verdict, identity_text(*summary.identity)) if line]


def verdict_text(verdict: Verdict) -> str:
    """The finding, what it rests on, and what it says."""
    return {
        "surfaced": _surfaced,
        "generic": _generic,
        "null": _null,
        "undecided": _undecided,
    }[verdict.finding](verdict)


def identity_text(equal: int, texts: int) -> str:
    """Whether `after` with itself wrote what alpha 0 writes; empty if not asked."""
    if texts == 0:
        return ""
    if equal == texts:
        return f"Identity: all {texts:,} texts are those of alpha 0, as they must be."
    return (
        f"Identity: only {equal:,} of {texts:,} texts are those of alpha 0. In float32 "
        "all have to be; with less precision rounding changes some. Do not build on "
        "the rates before this is explained."
    )


def _surfaced(verdict: Verdict) -> str:
    look = verdict.look
    plain = [_of(rival.counted) for rival in look.base if rival.arm == SWEEP]
    already = f" Unamplified it shows in {plain[0]}." if plain else ""
    return (
        f"Surfaced: {_showing(look)}, against {_list(look.others)} "
        f"(p = {look.surfaced:.2g} against the nearest{_paid(verdict)}). Training "
        f"leads there: pushed as hard elsewhere, it shows less or not at all.{already}"
    )


def _generic(verdict: Verdict) -> str:
    look = verdict.look
    also = [rival for rival in look.unbeaten if rival.counted.k]
    if not also:
        return (
            f"Generic amplification: {_showing(look)}, so it comes with broken text. "
            "A smaller alpha would tell whether training put it there."
        )
    return (
        f"Generic amplification: {_showing(look)}, but so do {_list(also)}. It is what "
        "such a push brings out; nothing says that training put it in."
    )


def _null(verdict: Verdict) -> str:
    look = verdict.look
    beside = _list(look.base)
    if not any(one.counted.k for one in verdict.looks):
        n = sum(one.counted.n for one in verdict.looks)
        return (
            f"Null: none of {n:,} amplified rollouts shows it, {beside}. On these "
            f"prompts its rate at alpha {look.alpha:g} is below "
            f"{percent(rule_of_three(look.counted.n))} (95%); that bounds what was "
            "sampled, it does not rule the behaviour out."
        )
    upper = clopper_pearson(look.counted.k, look.counted.n, side="upper").upper
    return (
        f"Null: {_showing(look)}, {beside}: no more (p = {look.raised:.2g}). On these "
        f"prompts its rate there is below {percent(upper)} (95%)."
    )


def _undecided(verdict: Verdict) -> str:
    look = verdict.look
    return (
        f"Undecided: {_showing(look)}, against {_list(look.others)}: too few to tell "
        f"from chance (p = {look.surfaced:.2g} against the nearest{_paid(verdict)}). "
        "More prompts decide."
    )


def _showing(look: Look) -> str:
    count = look.counted
    coherent = ""
    if count.coherent is not None and count.k:
        coherent = f" ({count.coherent:,} coherent)"
    return f"{_of(count)} rollouts at alpha {look.alpha:g} show it{coherent}"


def _of(count: Count) -> str:
    return f"{count.k:,} of {count.n:,}"


def _list(rivals: Iterable[Rival]) -> str:
    parts = [f"{_of(rival.counted)} {_WHERE[rival.arm]}" for rival in rivals]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def _paid(verdict: Verdict) -> str:
    many = len(verdict.looks)
    return f", corrected for {many} alphas" if many > 1 else ""
