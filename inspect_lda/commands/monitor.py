"""`inspect-lda monitor SERIES`: from which checkpoint on does a behaviour show?"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspect_lda.commands.output import write

if TYPE_CHECKING:
    from inspect_lda.report.series import Series

DISPLAYS = ("full", "rich", "plain", "log", "none")


@click.command()
@click.argument("series")
@click.option("--before", help="The checkpoint before training, the same for all.")
@click.option(
    "--task",
    default="inspect_lda/compliance_drift",
    show_default=True,
    help="A task that sweeps alphas.",
)
@click.option("-T", "task_args", multiple=True, metavar="KEY=VALUE", help="Task args.")
@click.option(
    "-M", "model_args", multiple=True, metavar="KEY=VALUE", help="Model args."
)
@click.option("--kl-budget", type=float, default=0.5, show_default=True)
@click.option(
    "--prompts", type=int, default=32, show_default=True, help="Of a calibration."
)
@click.option(
    "--log-dir",
    type=click.Path(path_type=Path),
    default=Path("logs/monitor"),
    show_default=True,
    help="Of this series alone; run again with it to resume.",
)
@click.option("--png", type=click.Path(path_type=Path), help="Keep the picture here.")
@click.option("--watch", is_flag=True, help="Wait for more checkpoints.")
@click.option("--poll", type=float, default=60.0, show_default=True, help="Seconds.")
@click.option(
    "--idle",
    type=float,
    default=3600.0,
    show_default=True,
    help="With --watch: end after so many seconds without a new checkpoint.",
)
@click.option("--display", type=click.Choice(DISPLAYS), default="none")
def monitor(
    series: str,
    before: str | None,
    task: str,
    task_args: tuple[str, ...],
    model_args: tuple[str, ...],
    kl_budget: float,
    prompts: int,
    log_dir: Path,
    png: Path | None,
    watch: bool,
    poll: float,
    idle: float,
    display: str,
) -> None:
    """Evaluate every checkpoint of SERIES, plain and amplified, and name the onset.

    SERIES is a folder of checkpoints or adapters, org/name@PATTERN on the hub (step_*,
    or re: and a regular expression), a list a,b,c, or demo/drift. Each checkpoint is
    amplified by the alpha that one KL budget buys. Exits with 1 if a checkpoint could
    not be finished.
    """
    from inspect_lda.monitor.demo import demo_args
    from inspect_lda.monitor.follow import follow, stages
    from inspect_lda.monitor.run import Monitor
    from inspect_lda.report.series_table import print_series

    found = Monitor(
        folder=log_dir,
        task=task,
        task_args={**demo_args(series, log_dir), **_values("-T", task_args)},
        model_args=_values("-M", model_args),
        before=before,
        kl_budget=kl_budget,
        prompts=prompts,
        display=display,
        say=lambda line: click.echo(line, err=True),
    )
    coming = stages(series, watch=watch, poll=poll, idle=idle, say=found.say)
    done, whole = follow(found, coming, lambda so_far: _draw(so_far, png))
    if whole is not None:
        print_series(whole)
    for one in done:
        if one.why is not None:
            click.echo(f"{one.stage.name} is left out: {one.why}")
    sys.exit(0 if all(one.log or one.alpha is None for one in done) else 1)


def _values(option: str, items: tuple[str, ...]) -> dict[str, Any]:
    """Options as Inspect reads them: YAML values, and lists by commas."""
    import yaml

    found: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals:
            raise click.BadParameter(f"{option} {item!r}: give KEY=VALUE")
        value = yaml.safe_load(text)
        split = isinstance(value, str) and "," in value
        found[key] = value.split(",") if split else value
    return found


def _draw(so_far: "Series", png: Path | None) -> None:
    """Bring the picture up to date."""
    if png is not None:
        from inspect_lda.report.series_figure import draw_series

        write(png, draw_series(so_far))
