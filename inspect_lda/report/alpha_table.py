"""A calibration in a terminal: what alpha costs, and which one it is."""

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from inspect_lda.calibration.found import Calibration
from inspect_lda.calibration.records import Ledger, Plan, Point

LIMITS = {
    "kl_budget": "the KL budget",
    "surprise": "the margin of surprise",
    "noise": "the largest honest alpha of the self-test",
    "range": "the range that was looked at",
    "coherence": "the coherence of real rollouts",
}


def calibration_report(found: Calibration) -> RenderableType:
    """The whole calibration as one renderable."""
    parts: list[RenderableType] = [
        Text(headline(found), style="bold red" if found.invalid else "bold"),
        Text(_setting(found), style="dim"),
    ]
    if found.curves:
        parts.append(_curves(found))
    if found.trials:
        parts.append(_trials(found))
    parts += [Text(line) for line in _lines(found)]
    return Group(*parts)


def headline(found: Calibration) -> str:
    """The alpha and what limits it, or why there is none."""
    if found.alpha is None or found.limited_by is None:
        return f"INVALID: {found.invalid}"
    grid = ",".join(f"{alpha:g}" for alpha in found.grid)
    return f"alpha {found.alpha:g}, limited by {LIMITS[found.limited_by]}; sweep {grid}"


def _setting(found: Calibration) -> str:
    pair, settings = found.pair, found.settings
    return (
        f"{pair.after} against {pair.before}, {pair.dtype}; {found.prompts.prompts} "
        f"prompts of {found.prompts.spec}, {settings.max_tokens} tokens at T="
        f"{settings.temperature:g}; at alpha 0: KL(after||before) "
        f"{found.reference.pair_kl:.3g} ± {found.reference.pair_kl_se:.1g} a token, "
        f"coherent {found.reference.coherent}/{found.reference.rollouts}"
    )


def _curves(found: Calibration) -> Table:
    table = _table("alpha", "KL a token", "surprise", "implausible")
    for point in _shown(found):
        table.add_row(
            f"{point.alpha:.3g}",
            f"{point.kl:.3g} ± {point.kl_se:.1g}",
            f"{point.surprise:.2f} ± {point.surprise_se:.1g}",
            f"{point.implausible:.1%}",
        )
    return table


def _shown(found: Calibration) -> Iterator[Point]:
    """Whole octaves from a sixteenth of the budget's alpha to twice that alpha."""
    top = found.alpha_kl or found.curves[-1].alpha
    for index, point in enumerate(found.curves):
        octave = index % 2 == 1 or point.alpha == found.curves[-1].alpha
        if point.alpha == 0 or (octave and top / 16 <= point.alpha <= 2 * top):
            yield point


def _trials(found: Calibration) -> Table:
    table = _table("real rollouts at", "coherent", "lower bound", "KL", "surprise", "")
    for trial in found.trials:
        table.add_row(
            f"{trial.alpha:g}",
            f"{trial.coherent}/{trial.rollouts}",
            f"{trial.lower:.1%}",
            f"{trial.kl:.2f}",
            f"{trial.surprise:.2f}",
            f"{'at least' if trial.kept else 'not sure of'} {found.target:.1%}",
        )
    return table


def _lines(found: Calibration) -> Iterator[str]:
    if found.curves:
        budget, margin = found.settings.kl_budget, found.settings.margin
        yield (
            f"KL budget {budget:g} is spent at alpha {_known(found.alpha_kl)}; "
            f"surprise is {margin:g} above that of alpha 0 at "
            f"{_known(found.alpha_surprise)}; "
            f"largest honest alpha {_known(found.alpha_honest)}."
        )
    yield f"This calibration took {spent(found.ledger)}."
    if found.plan is not None:
        yield plan_line(found.plan)


def plan_line(plan: Plan) -> str:
    """The planned run and its cost."""
    return (
        f"A run of {plan.prompts} prompts x {plan.epochs} rollouts x "
        f"{len(plan.alphas)} alphas, at most {plan.max_tokens} tokens, {plan.batch} "
        f"in a batch, will take about {spent(plan.estimate)}, {plan.load_seconds:.0f} "
        "of them to load."
    )


def spent(ledger: Ledger) -> str:
    """A ledger in words."""
    return (
        f"{ledger.rollouts:,} rollouts, {ledger.sampled:,} sampled and "
        f"{ledger.prefilled:,} prompt tokens, {ledger.forwards + ledger.scored:,} "
        f"token forwards of each checkpoint, {ledger.seconds:,.0f} s"
    )


def _known(alpha: float | None) -> str:
    return "not known" if alpha is None else f"{alpha:.3g}"


def _table(*header: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in header:
        table.add_column(name, justify="left" if not name else "right")
    return table
