"""A check of a pair in a terminal."""

from collections.abc import Iterator

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from inspect_lda.calibration.document import Check, Deltas
from inspect_lda.calibration.result import Identity, SelfTest, honest_text

SHOWN = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Alphas of the table; the picture and the JSON have more."""


def print_check(check: Check, console: Console | None = None) -> None:
    """Print what a check found."""
    (console or Console()).print(report(check))


def report(check: Check) -> RenderableType:
    """The whole check as one renderable."""
    test = check.test
    parts: list[RenderableType] = [
        Text(headline(test), style="bold"),
        Text(setting(check), style="dim"),
        Text(),
        *map(_identity, test.identities),
        Text(),
        *(Text(line) for line in noise_lines(test)),
        _table(test),
        *(Text(line) for line in delta_lines(check.deltas)),
        *(Text(f"note: {note}", style="dim") for note in check.notes),
    ]
    parts += [Text(f"advice: {line}", style="yellow") for line in check.advice]
    return Group(*parts)


def headline(test: SelfTest) -> str:
    """The finding in a line."""
    if not test.passed:
        return "Broken: alpha 0 or -1 is not the checkpoint."
    if test.is_flat:
        return "Nothing to amplify: the checkpoints differ by no more than rounding."
    if test.honest_alpha is None:
        return "No honest alpha: rounding noise is too large beside the signal."
    return f"Largest honest alpha: {honest_text(test.honest_alpha)}"


def setting(check: Check) -> str:
    """What was tested, in a line."""
    test = check.test
    return (
        f"{check.after.name} against {check.before.name} in {test.precision} on "
        f"{check.device}, as {test.form} in batches of {test.rows}; {test.prompts} "
        f"prompts x {test.tokens // test.prompts} tokens, {test.seconds:.1f} s"
    )


def noise_lines(test: SelfTest) -> Iterator[str]:
    """Signal and noise in numbers."""
    kl = test.signal_kl
    yield (
        f"signal  KL(after||before) {kl.value:.3g} nats a token [{kl.lower:.3g}, "
        f"{kl.upper:.3g}]; a logit's difference has standard deviation "
        f"{test.signal_std:.3g}"
    )
    truth = ""
    if test.truth_std is not None:
        truth = f"; against float32 the difference is off by {test.truth_std:.3g}"
    yield (
        f"noise   KL {test.noise_kl:.3g} nats a token; the same logit alone and in the "
        f"batch differs by {test.noise_std:.3g}{truth}"
    )


def delta_lines(deltas: Deltas) -> Iterator[str]:
    """How the weights differ."""
    share = deltas.changed_weights / deltas.weights if deltas.weights else 0.0
    yield (
        f"weights {deltas.changed_tensors} of {deltas.tensors} tensors differ, "
        f"{deltas.changed_weights:,} of {deltas.weights:,} weights ({share:.2%}), "
        f"from {deltas.source}"
    )
    if deltas.rounded_weights:
        yield (
            f"        {deltas.rounded_weights:,} weights of other tensors differ by "
            "the rounding of one side alone"
        )
    if deltas.ulps is not None:
        low, middle, high = deltas.ulps
        yield (
            f"        size of a change: {middle:.2g} steps of {deltas.grid} (80 % from "
            f"{low:.2g} to {high:.2g})"
        )
        yield (
            f"        {_held(deltas)} {deltas.equal_on_grid:,} of the "
            f"{deltas.touched_weights:,} weights of these tensors equal to before's, "
            f"and {deltas.one_step:,} one step away"
        )
    if deltas.adapter_erased is not None:
        yield (
            f"        the adapter changes {deltas.adapter_weights:,} weights, of which "
            f"{deltas.adapter_erased:,} are still before's"
        )
    for note in deltas.notes:
        yield f"        {note}"


def _held(deltas: Deltas) -> str:
    if deltas.source == "adapter":
        return f"merging in {deltas.grid} would leave"
    return f"stored in {deltas.grid} are"


def _identity(identity: Identity) -> Text:
    if not identity.holds:
        return Text(f"FAILS   {identity.name}: off by {identity.error:.3g}", "bold red")
    how = "bit for bit"
    if identity.error > 0:
        how = f"to rounding, {identity.error:.2g} (this form rounds in another order)"
    return Text(f"holds   {identity.name}: {how}", "green")


def _table(test: SelfTest) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    names = ["alpha", "noise TV", "signal TV"]
    names += ["off from float32"] if test.truth_std is not None else []
    for name in [*names, "honest"]:
        table.add_column(name, justify="right")
    for alpha in SHOWN:
        point = min(test.curve, key=lambda one: abs(one.alpha - alpha))
        cells = [f"{alpha:g}", f"{point.noise_tv:.2g}", f"{point.signal_tv:.2g}"]
        if point.truth_tv is not None:
            cells.append(f"{point.truth_tv:.2g}")
        honest = test.honest_alpha is not None and alpha <= test.honest_alpha
        table.add_row(*cells, "yes" if honest else "no")
    return table
