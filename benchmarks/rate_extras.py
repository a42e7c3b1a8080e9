"""What the cells do not show: hazards, populations of prompts, trends, hidden ways."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import click
import numpy as np

from benchmarks.rate_cells import ALPHAS, EACH, Cell
from benchmarks.toy_hazards import plain_rollouts
from benchmarks.toy_rollouts import runs
from benchmarks.toys import PHRASE, PROMPTS, tuned
from inspect_lda.statistics.true_rate import true_rate
from inspect_lda.statistics.weighted import population_interval

SPREADS = (0.5, 1.0, 1.5, 2.0, 3.0)
COUNTS = (20, 50, 100, 200)


def extras(found: Sequence[Cell], replicates: int) -> None:
    """Print all of them."""
    _hazards(replicates)
    _populations(10 * replicates)
    _trends(found)
    _hidden(replicates)


def _hazards(replicates: int) -> None:
    click.echo("\nHazard of a phrase along 200 plain rollouts:\n")
    click.echo(
        "| rate | bias | rmse | passed | covered | gain |\n|---|---|---|---|---|---|"
    )
    for rate in (1e-2, 1e-4, 1e-6):
        toy = tuned("anywhere", rate, 1.0, seed=1)
        rng = np.random.default_rng(1)
        estimates, covered = [], []
        for _ in range(replicates):
            told = true_rate(plain_rollouts(toy, 20, rng), phrase=PHRASE)
            if told.rate is None or told.interval is None:
                continue
            estimates.append(told.rate / rate)
            covered.append(told.interval.lower <= rate <= told.interval.upper)
        rmse = float(np.sqrt(np.mean(np.square(np.array(estimates) - 1))))
        click.echo(
            f"| {rate:.0e} | {np.mean(estimates):.2f} | {rmse:.3f} | "
            f"{len(covered) / replicates:.2f} | {np.mean(covered):.3f} | "
            f"{(1 - rate) / (rate * 20 * PROMPTS) / rmse**2:.3g} |"
        )


def _populations(replicates: int) -> None:
    click.echo(
        "\nThe population of prompts, each rate known, lognormal with this standard "
        "deviation of logarithms: passed, covered of these:\n"
    )
    click.echo("| prompts | " + " | ".join(f"{one:g}" for one in SPREADS) + " |")
    click.echo("|---|" + "---|" * len(SPREADS))
    rng = np.random.default_rng(2)
    for count in COUNTS:
        row = []
        for spread in SPREADS:
            covered = []
            for _ in range(replicates):
                rates = 1e-5 * np.exp(spread * rng.standard_normal(count))
                told = population_interval(rates)
                if told is not None:
                    truth = 1e-5 * np.exp(spread**2 / 2)
                    covered.append(told.lower <= truth <= told.upper)
            share = f", {np.mean(covered):.3f}" if len(covered) >= 30 else ""
            row.append(f"{len(covered) / replicates:.2f}{share}")
        click.echo(f"| {count} | " + " | ".join(row) + " |")


def _trends(found: Sequence[Cell]) -> None:
    click.echo(
        "\nOrder of magnitude of refused runs: median of estimate over truth, and the "
        "factor within which 19 of 20 lay:\n"
    )
    click.echo("| behaviour | method | runs | median | factor |\n|---|---|---|---|---|")
    named: dict[tuple[str, str], list[float]] = defaultdict(list)
    for cell in found:
        for method, decades in cell.decades.items():
            named[cell.setting.kind, method] += decades
            named["all", method] += decades
    for (kind, method), decades in sorted(named.items()):
        factor = 10 ** float(np.quantile(np.abs(decades), 0.95))
        click.echo(
            f"| {kind} | {method} | {len(decades)} | {10 ** np.median(decades):.2g} | "
            f"{factor:.3g} |"
        )


def _hidden(replicates: int) -> None:
    """Nine of ten hits come in a way that training made rarer."""
    click.echo(
        "\nA way of the behaviour that amplification makes rarer (9 of 10 hits):\n"
    )
    click.echo(
        "| rate | median estimate over truth | passed | covered | plain check's "
        "bound covered |\n|---|---|---|---|---|"
    )
    for rate in (1e-2, 1e-3, 1e-4):
        shown = tuned("early", rate / 10, 1.0, seed=3)
        rng = np.random.default_rng(3)
        told = []
        for run in runs(shown, ALPHAS, EACH, replicates, rng):
            # The hidden way is seen at alpha 0 alone, where it is plain counting.
            hidden = (run.drawn == 0) & (rng.random(len(run)) < 0.9 * rate)
            found = true_rate(replace(run, hit=run.hit | hidden))
            told.append(found)
        rates = [one.rate / rate for one in told if one.rate is not None]
        covered = [
            one.interval.lower <= rate <= one.interval.upper
            for one in told
            if one.interval is not None
        ]
        bound = [
            one.diagnostics is not None and rate <= one.diagnostics.plain_interval.upper
            for one in told
        ]
        click.echo(
            f"| {rate:.0e} | {np.median(rates) if rates else np.nan:.2f} | "
            f"{len(rates) / replicates:.2f} | "
            f"{np.mean(covered) if covered else np.nan:.2f} | {np.mean(bound):.2f} |"
        )
