"""Is the true rate true? Every estimator on toy models whose rate is known exactly.

    python -m benchmarks.rates             # the tables in docs/rates.md, 4 minutes

For every kind of behaviour, rate and noise, runs of 2,000 rollouts (10 prompts at 4
alphas) are judged by `true_rate` as a user's run would be. Printed are

- bias, rmse: of the weights' estimate over the truth, published or not;
- passed: how often the weights passed the validity rule (of each alpha, where evidence
  at the others is missing);
- printed: how often there was a number, plain counting included;
- covered: how often the interval that was printed held the truth;
- always: the same of the weights' interval, had it always been printed;
- gain: plain rollouts for the same mean square error, over the rollouts drawn.

Ends with the bars that must hold.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import click
import numpy as np

from benchmarks.rate_cells import Cell, Setting, cells
from benchmarks.rate_extras import extras
from inspect_lda.statistics.intervals import wilson

HEAD = (
    "| behaviour | rate | noise | evidence | bias | rmse | passed | printed | "
    "covered | always | gain |"
)
RATES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
NOISES = (0.2, 1.0, 5.0)
OWN = 100
"""A cell with fewer accepted runs is no cell of its own: it joins those of its kind."""
FEW = 30
"""Kinds whose pooled runs are fewer are pooled with each other."""
MEAN_COVERAGE, WORST_COVERAGE, REFUSED, GAIN = 0.93, 0.88, 0.95, 50.0


def settings(rates: Sequence[float], noises: Sequence[float]) -> list[Setting]:
    """All that is simulated."""
    found = []
    for rate in rates:
        for noise in noises:
            found += [Setting("early", rate, noise), Setting("anywhere", rate, noise)]
            found += [Setting("diffuse", rate, noise)]
        loud = max(noises)
        found += [Setting("turn", rate, loud), Setting("turn", rate, loud, first_k=5)]
    return sorted(found, key=lambda one: (one.kind, one.first_k or 0, -one.rate))


def row(cell: Cell) -> str:
    """A line of the table."""
    setting, n = cell.setting, len(cell.covered)
    kind = setting.kind + (f", first {setting.first_k}" if setting.first_k else "")
    weights = "all alphas" if cell.pooled else "one alpha"
    covered = f"{np.mean(cell.covered):.3f}" if n else ""
    rest = f"{_by_weights(cell.always)} | {cell.gain:.3g} |"
    return (
        f"| {kind} | {setting.rate:.0e} | {setting.noise:g} | {weights} | "
        f"{cell.bias:.2f} | {cell.rmse:.2f} | {_by_weights(cell.passed)} | "
        f"{np.mean(cell.valid):.2f} | "
        f"{covered} | {rest}"
    )


def _by_weights(found: Mapping[str, Sequence[bool]]) -> str:
    """Shares, of the mixture or of each amplified alpha."""
    return ", ".join(f"{np.mean(one):.2f}" for one in found.values())


def coverages(found: Iterable[Cell]) -> dict[str, list[bool]]:
    """Whether intervals that were printed covered, by cell; small ones pooled."""
    named: dict[str, list[bool]] = {}
    kinds: dict[str, list[bool]] = defaultdict(list)
    for cell in found:
        evidence = "all alphas" if cell.pooled else "one alpha"
        name = f"{cell.setting}, {evidence}"
        if len(cell.covered) >= OWN:
            named[name] = cell.covered
        else:
            kinds[f"small cells, {cell.setting.kind}, {evidence}"] += cell.covered
    rest: list[bool] = []
    for name, covered in kinds.items():
        if len(covered) >= FEW:
            named[name] = covered
        else:
            rest += covered
    if rest:
        named["small cells, rest"] = rest
    return named


def bars(found: Sequence[Cell]) -> Iterable[tuple[bool, str]]:
    """Whether each bar holds, and the line that says so."""
    named = coverages(found)
    shares = {name: float(np.mean(covered)) for name, covered in named.items()}
    mean = float(np.mean(list(shares.values())))
    worst = min(shares, key=shares.__getitem__)
    k, n = sum(named[worst]), len(named[worst])
    yield (
        mean >= MEAN_COVERAGE,
        f"mean coverage of {len(named)} cells {mean:.3f} >= {MEAN_COVERAGE}",
    )
    yield (
        shares[worst] >= WORST_COVERAGE,
        f"worst coverage {shares[worst]:.3f} >= {WORST_COVERAGE}: {k} of {n} "
        f"({wilson(k, n).lower:.2f} to {wilson(k, n).upper:.2f}), {worst}",
    )
    wrong = [one for cell in found for one in cell.invalid().values()]
    runs = [passed for one in wrong for passed in one]
    refused = 1 - float(np.mean(runs)) if runs else 1.0
    yield (
        refused >= REFUSED,
        f"invalid weights refused {refused:.4f} >= {REFUSED}: of {len(runs)} runs, "
        f"{len(wrong)} settings and weights",
    )
    gains = [
        cell.gain
        for cell in found
        if (cell.setting.kind, cell.setting.rate) == ("early", 1e-4) and cell.pooled
    ]
    if gains:
        yield (
            min(gains) >= GAIN,
            f"gain, early at 1e-4 {min(gains):.0f} >= {GAIN:.0f} (the least of "
            f"{len(gains)} cells)",
        )


@click.command()
@click.option("--replicates", default=300, show_default=True, help="Runs of a cell.")
@click.option("--rates", default=",".join(map(str, RATES)), show_default=True)
@click.option("--noises", default=",".join(map(str, NOISES)), show_default=True)
@click.option("--extras/--no-extras", "more", default=True, show_default=True)
def main(replicates: int, rates: str, noises: str, more: bool) -> None:
    """Simulate, print the tables and the bars; exit 1 if a bar does not hold."""
    began = time.process_time()
    chosen = [float(one) for one in rates.split(",")]
    loud = [float(one) for one in noises.split(",")]
    click.echo(HEAD)
    click.echo("|---" * HEAD.count(" | ") + "|---|")
    found: list[Cell] = []
    for setting in settings(chosen, loud):
        for cell in cells(setting, replicates):
            found.append(cell)
            click.echo(row(cell))
    if more:
        extras(found, replicates)
    held = list(bars(found))
    click.echo("")
    for holds, line in held:
        click.echo(f"- {'holds' if holds else 'DOES NOT HOLD'}: {line}")
    click.echo(
        f"\n{replicates} runs a cell, {time.process_time() - began:.0f} CPU seconds"
    )
    if not all(holds for holds, _ in held):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
