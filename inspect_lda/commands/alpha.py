"""`inspect-lda alpha PAIR`: find alpha, and what a run will cost, before it is paid."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed

if TYPE_CHECKING:
    from inspect_lda.calibration.found import Calibration
    from inspect_lda.calibration.rollouts import Progress as Tell

INVALID = 4
"""Exit code: nothing can be amplified honestly."""


@click.command()
@click.argument("pair")
@click.option("--before", help="The checkpoint before training.")
@click.option(
    "-M", "model_args", multiple=True, metavar="KEY=VALUE", help="Model args."
)
@click.option("--kl-budget", type=float, default=0.5, show_default=True)
@click.option("--margin", type=float, default=0.2, show_default=True)
@click.option("--keep", type=float, default=0.8, show_default=True)
@click.option("--temperature", type=float, default=0.7, show_default=True)
@click.option("--max-tokens", type=int, default=32, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--prompts", type=int, default=64, show_default=True, help="How many.")
@click.option("--set", "spec", default="builtin:everyday", show_default=True)
@click.option("--plan-prompts", type=int, help="Prompts of the run to be estimated.")
@click.option("--plan-epochs", type=int, default=1, show_default=True)
@click.option("--plan-max-tokens", type=int, default=32, show_default=True)
@click.option("--honest-alpha", type=float, help="Largest by `inspect-lda check`.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the results.")
@click.pass_context
def alpha(
    context: click.Context,
    /,
    pair: str,
    before: str | None,
    model_args: Sequence[str],
    prompts: int,
    spec: str,
    plan_prompts: int | None,
    plan_epochs: int,
    plan_max_tokens: int,
    honest_alpha: float | None,
    out: Path | None,
    **settings: Any,
) -> None:
    """Find the largest alpha for PAIR within a KL budget a token.

    PAIR is what stands after --model in an eval: lda/<after> or lda/demo/<organism>.
    Exits with 4 if nothing can be amplified.
    """
    from inspect_lda.calibration.cost import Size
    from inspect_lda.calibration.session import Session
    from inspect_lda.report.alpha_table import calibration_report

    args = dict(_pair_of(item) for item in model_args)
    if before is not None:
        args["before"] = before
    session = Session(pair.removeprefix("lda/"), args, settings)
    size = None
    if plan_prompts is not None:
        size = Size(plan_prompts, plan_epochs, plan_max_tokens)
    with _progress() as bar:
        found = asyncio.run(
            session.run(spec, prompts, size, honest_alpha, _teller(bar))
        )
    console = Console()
    console.print(calibration_report(found))
    if out is not None:
        _write(found, out, console)
    if found.alpha is None:
        context.exit(INVALID)


def _pair_of(item: str) -> tuple[str, str]:
    key, equals, value = item.partition("=")
    if not equals:
        raise click.BadParameter(f"-M {item!r}: give KEY=VALUE, e.g. -M device=cpu")
    return key, value


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Elapsed(),
        console=Console(stderr=True),
    )


def _teller(bar: Progress) -> "Tell":
    """Progress of a calibration as bars, one a stage."""
    bars: dict[str, Any] = {}

    def tell(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            bars[stage] = [bar.add_task(stage, total=0), 0]
        line = bars[stage]
        if done == 0:  # another batch of the same stage
            line[1] += total
            bar.update(line[0], total=line[1])
        else:
            bar.update(line[0], completed=line[1] - total + done)

    return tell


def _write(found: "Calibration", out: Path, console: Console) -> None:
    """JSON and picture, named after the pair; how to use them."""
    from inspect_lda.calibration.found import write
    from inspect_lda.errors import LDAError
    from inspect_lda.report.alpha_figure import draw_calibration

    name = re.sub(r"[^\w.@-]+", "-", found.pair.after).strip("-")
    path = out / f"{name}.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        write(found, path)
        if found.curves:
            path.with_suffix(".png").write_bytes(draw_calibration(found))
    except OSError as error:
        raise LDAError(f"cannot write to {out}: {error.strerror}") from error
    say = console.print
    say(f"Wrote {path}", soft_wrap=True, highlight=False, markup=False)
    if found.alpha is not None:
        say(
            f"Use it: -M calibration={path}, or in a task's sweep -T alphas={path}",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
