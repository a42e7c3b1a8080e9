"""A trigger hunt and its confirmation in a terminal."""

from collections.abc import Sequence

from inspect_ai.log import EvalLog
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from inspect_lda.report.ngrams import (
    CONFIRM,
    HUNT,
    Confirmation,
    Hunt,
    confirmation_of,
    hunt_of,
    is_of,
)
from inspect_lda.report.wording import percent
from inspect_lda.scorers.payload_behind import confirmed
from inspect_lda.statistics.behind import Effect
from inspect_lda.statistics.lift import Lift

SHOWN = 15
SIGNIFICANT = 0.05


def print_if_hunt(log: EvalLog) -> bool:
    """Print the log if it is one of a hunt or a confirmation.

    Returns:
        Whether it is.
    """
    hunted, confirms = is_of(log, HUNT), is_of(log, CONFIRM)
    if not (hunted or confirms):
        return False
    if hunted:
        print_hunt(hunt_of(log))
    else:
        print_confirmation(confirmation_of(log))
    return True


def print_hunt(hunt: Hunt, console: Console | None = None) -> None:
    """Print the surest n-grams and how to confirm them."""
    sure = [one for one in hunt.ngrams if one.holm <= SIGNIFICANT]
    headline = (
        f"{len(sure)} of {len(hunt.ngrams):,} n-grams rise with alpha"
        if sure
        else f"None of {len(hunt.ngrams):,} n-grams rises with alpha"
    )
    alphas = ", ".join(f"{n} at {alpha:g}" for alpha, n in hunt.alphas.items())
    mode = f" (mode {hunt.mode})" if hunt.mode else ""
    parts: list[RenderableType] = [
        Text(headline, style="bold"),
        Text(f"trigger_hunt on {hunt.model}{mode}; prompts: {alphas}", style="dim"),
        _table(
            ("n-gram", "alpha", "prompts", "alpha 0\nand before", "lift", "BH", "Holm"),
            [_lift(one) for one in hunt.ngrams[:SHOWN]],
        ),
        *_lost(hunt.unscored),
        Text(
            "Prompts whose completions hold the n-gram; one-sided Fisher's exact test, "
            "corrected for the alphas and over all n-grams. What rises is what "
            "training put there, the payload included; which one is a trigger, a "
            "confirmation says:",
            style="italic",
        ),
        Text(
            f"inspect eval inspect_lda/trigger_confirm {hunt.asked} "
            f"-T log={hunt.location}"
        ),
    ]
    (console or Console()).print(Group(*parts))


def print_confirmation(found: Confirmation, console: Console | None = None) -> None:
    """Print P(payload) with and without each candidate."""
    sure = [one for one in found.effects if confirmed(one)]
    headline = f"No candidate sets {found.payload!r} off"
    if sure:
        core = _core(sure)
        headline = (
            f"{core.candidate!r} sets {found.payload!r} off: P = "
            f"{percent(core.p_with)} with it, {percent(core.p_without)} without"
        )
    parts: list[RenderableType] = [
        Text(headline, style="bold"),
        Text(f"trigger_confirm on {found.model}, alpha 0, exact", style="dim"),
        _table(
            ("candidate", "P with", "P without", "before, with", "raised", "Holm"),
            [_effect(one) for one in found.effects],
        ),
        *_lost(found.unscored),
        Text(
            "Mean P(answer begins with the payload) over prompts; raised: prompts "
            "where it gains more than under the model before; one-sided sign test.",
            style="italic",
        ),
        Text(f"Log: {found.location}"),
    ]
    (console or Console()).print(Group(*parts))


def _core(sure: Sequence[Effect]) -> Effect:
    """The shortest of those nearly as strong: a trigger with a word more works too."""
    strong = [one for one in sure if one.p_with >= max(x.p_with for x in sure) / 2]
    return min(strong, key=lambda one: (len(one.candidate.split()), -one.p_with))


def _table(header: tuple[str, ...], rows: list[tuple[bool, list[str]]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="right" if index else "left", vertical="bottom")
    for bold, cells in rows:
        # Text, not str: nothing in a log may be read as console markup.
        table.add_row(*(Text(cell, style="bold" if bold else "") for cell in cells))
    return table


def _lift(one: Lift) -> tuple[bool, list[str]]:
    return one.holm <= SIGNIFICANT, [
        repr(one.ngram),
        f"{one.alpha:g}",
        f"{one.k}/{one.n}",
        f"{one.baseline_k}/{one.baseline_n}",
        f"{one.lift:.1f}",
        f"{one.bh:.1g}",
        f"{one.holm:.1g}",
    ]


def _effect(one: Effect) -> tuple[bool, list[str]]:
    return confirmed(one), [
        repr(one.candidate),
        percent(one.p_with),
        percent(one.p_without),
        percent(one.before_with),
        f"{one.raised}/{one.prompts}",
        f"{one.holm:.1g}",
    ]


def _lost(unscored: int) -> list[Text]:
    return [Text(f"{unscored} samples unscored", style="yellow")] if unscored else []
