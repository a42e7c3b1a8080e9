"""`inspect-lda report`: logs as tables in a terminal, a picture and a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspect_lda.commands.output import write
from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog

    from inspect_lda.calibration.records import Plan
    from inspect_lda.report.html import Decided

_VIEWER = "http://127.0.0.1:7575"


@click.command()
@click.argument("logs", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    "--html",
    type=click.Path(path_type=Path),
    help="Write the page of all LOGS here: one file, no network.",
)
@click.option("--png", type=click.Path(path_type=Path), help="Write the picture here.")
@click.option("--plan", help="A calibration with a plan, to compare the cost with.")
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    help="Put the gate's verdict by this policy at the head of the page.",
)
@click.option("--baseline", multiple=True, help="For --policy, as in `gate`.")
@click.option("--planted", multiple=True, help="For --policy, as in `gate`.")
@click.option("--title", default="Release report", help="Of the page.")
@click.option(
    "--viewer",
    default=_VIEWER,
    show_default=True,
    help="Where `inspect view` shows the logs, for the links of the page.",
)
def report(
    logs: tuple[str, ...],
    output: Path | None,
    png: Path | None,
    plan: str | None,
    policy: Path | None,
    baseline: tuple[str, ...],
    planted: tuple[str, ...],
    title: str,
    viewer: str,
) -> None:
    """Print finished LOGS as tables, and as the page that goes with a release.

    LOGS are files or folders; a folder means all of its logs. Reads the logs only: no
    model, no weights, no network.
    """
    from inspect_lda.report.html import page
    from inspect_lda.report.ledger import planned
    from inspect_lda.report.release import read_logs, release
    from inspect_lda.report.viewer import Viewer

    if policy is not None and output is None:
        raise LDAError("--policy heads the page: give -o, or run `inspect-lda gate`")

    expected = None if plan is None else planned(plan)
    found, problems = read_logs(logs)
    for problem in problems:
        click.secho(f"Not counted: {problem}", fg="red", err=True)
    for log in found:
        _print(log, expected)
    if png is not None:
        _draw(found, png)
    if output is not None:
        whole = release(found, problems)
        if not (whole.findings or whole.foreign):
            raise LDAError("-o: nothing here for a page: hunts are tables only")
        decided = _decided(logs, policy, baseline, planted) if policy else None
        text = page(whole, title=title, decided=decided, viewer=Viewer(viewer))
        write(output, text.encode())


def _decided(
    logs: tuple[str, ...],
    policy: Path,
    baseline: tuple[str, ...],
    planted: tuple[str, ...],
) -> "Decided":
    from inspect_lda.gate import gate
    from inspect_lda.gate.render.html import decided

    return decided(gate(logs, policy, baseline=baseline, planted=planted))


def _print(log: "EvalLog", expected: "Plan | None") -> None:
    """One log; of an eval that counts no detections, its own metrics."""
    from inspect_lda.report.foreign import own_metrics
    from inspect_lda.report.ledger import ledger_lines
    from inspect_lda.report.lpe import print_if_lpe
    from inspect_lda.report.ngrams_table import print_if_hunt
    from inspect_lda.report.own_rate import own_rate_of
    from inspect_lda.report.rate_table import print_own_rate
    from inspect_lda.report.summary import counts_detections, summarise
    from inspect_lda.report.table import print_report

    if print_if_hunt(log):
        return
    if counts_detections(log):
        print_report(summarise(log))
        print_own_rate(own_rate_of(log))
    print_if_lpe(log)
    for line in own_metrics(log):
        click.echo(line)
    for line in ledger_lines(log, expected):
        click.echo(line)


def _draw(logs: "Sequence[EvalLog]", png: Path) -> None:
    from inspect_lda.report.figure import draw
    from inspect_lda.report.release import merged
    from inspect_lda.report.summary import counts_detections, summarise

    findings = merged([log for log in logs if counts_detections(log)])
    if not findings:
        raise LDAError("--png draws a sweep, and here is none: hunts are tables only")
    if len(findings) > 1:
        raise LDAError(
            f"--png draws one sweep, these logs hold {len(findings)}: name the log, or "
            "use -o report.html for a page of all"
        )
    write(png, draw(summarise(findings[0])))
