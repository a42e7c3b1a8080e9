"""`python -m inspect_lda.organisms.recipe build|measure NAME`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from inspect_lda.organisms import ORGANISMS, ROOM, OrganismError, organism, revisions
from inspect_lda.organisms.base import BaseCheckpointError, cache_directory
from inspect_lda.organisms.recipe import build as building
from inspect_lda.organisms.recipe import card
from inspect_lda.organisms.recipe.series import measure_series
from inspect_lda.organisms.recipe.split import SplitModel
from inspect_lda.organisms.recipe.table import MEASUREMENTS

NAME = click.argument("name", type=click.Choice(ORGANISMS))
THREADS = click.option(
    "--threads",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="CPU threads.",
)


@contextmanager
def _progress() -> Iterator[building.Report]:
    """A bar whose label and length follow the work."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield report


@click.group()
def main() -> None:
    """Rebuild or re-measure the embedded organisms."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")


@main.command()
@NAME
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the adapter and its card go; the package's own directory by default.",
)
@THREADS
def build(name: str, out: Path | None, threads: int) -> None:
    """Train NAME from scratch, measure it, write its card."""
    torch.set_num_threads(threads)
    out = out or ROOM / name
    work = cache_directory() / "recipe"
    with _errors(), _progress() as report:
        if name == "drift":
            _build_series(out, work, report)
        else:
            building.train(building.load_base(), name, out, work, report)
            _measure(name, out, report)
    click.echo(f"{name}: see {out / 'CARD.md'}")


@main.command()
@NAME
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Directory that `build --out` wrote; the package's own by default.",
)
@THREADS
def measure(name: str, out: Path | None, threads: int) -> None:
    """Measure NAME again and rewrite the numbers of its card."""
    torch.set_num_threads(threads)
    if out is None:
        organism(name)
    with _errors(), _progress() as report:
        _measure(name, out or ROOM / name, report)
    click.echo(f"{name}: see {(out or ROOM / name) / 'CARD.md'}")


@contextmanager
def _errors() -> Iterator[None]:
    """Our own errors are messages for the user, not tracebacks."""
    try:
        yield
    except (BaseCheckpointError, OrganismError) as error:
        raise click.ClickException(str(error)) from error


def _measure(name: str, out: Path, report: building.Report) -> None:
    report(f"measuring {name} on held-out prompts", 0, 1)
    model = building.load_base()
    if name == "drift":
        found = revisions(out)
        model.load_adapter(out / building.BEFORE, building.BEFORE)
        _card_series(model, out, {int(one): out / f"at-{one}" for one in found})
        return
    model.load_adapter(out, building.AFTER)
    card.write(out, name, MEASUREMENTS[name](model, building.AFTER))


def _build_series(out: Path, work: Path, report: building.Report) -> None:
    """The refuser first, then the run that continues from it."""
    building.train(building.load_base(), "refuser", out / building.BEFORE, work, report)
    model = building.load_base()
    model.load_adapter(out / building.BEFORE, building.BEFORE)
    saved = building.train(model, "drift", out, work, report)
    (out / "card.json").unlink(missing_ok=True)  # its points are another training's
    report("measuring drift on held-out prompts", 0, 1)
    _card_series(model, out, {one.percent: one.directory for one in saved})


def _card_series(model: SplitModel, out: Path, points: dict[int, Path]) -> None:
    """Measure every checkpoint of a series, from its files, and write the card."""
    for percent, directory in points.items():
        model.load_adapter(directory, f"at-{percent}")
    measured = measure_series(model, {p: f"at-{p}" for p in points})
    # Checkpoints that were measured when built but are not shipped keep their numbers.
    both = {**card.old_points(out), **measured["points"]}
    measured["points"] = {key: both[key] for key in sorted(both, key=int)}
    card.write(out, "drift", measured)


if __name__ == "__main__":
    main()
