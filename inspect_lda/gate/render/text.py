"""The report in a terminal."""

from io import StringIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from inspect_lda.gate.render.lines import (
    DECISIONS,
    SOURCES,
    by_status,
    decision_lines,
    source_lines,
)
from inspect_lda.gate.report import GateReport, Transcript
from inspect_lda.gate.wording import CAVEAT, detection_said, would_be
from inspect_lda.report.wording import Line

COLOURS = {"good": "green", "bad": "bold red", "warn": "yellow", "hit": "bold", "": ""}
BANNERS = {
    "PASS": "bold white on green",
    "FAIL": "bold white on red",
    "INCONCLUSIVE": "bold black on yellow",
    "INVALID": "bold white on magenta",
}
WIDTH = 110


def render(report: GateReport) -> str:
    """The report without colours, for a file or a pipe."""
    console = Console(file=StringIO(), width=WIDTH, color_system=None)
    with console.capture() as capture:
        console.print(renderable(report))
    return capture.get()


def renderable(report: GateReport) -> RenderableType:
    """The report for a console."""
    parts: list[RenderableType] = [
        Text.assemble(
            (f" {report.verdict} ", BANNERS[report.verdict]),
            (f"  {report.policy}", "bold"),
        ),
        Text(report.headline, style="bold"),
        *_checks(report),
    ]
    if report.decisions:
        if would_be(report):
            parts.append(Text(would_be(report), style="yellow"))
        parts.append(_table(DECISIONS, decision_lines(report)))
        open_ = [one for one in report.decisions if one.outcome != "PASS"]
        parts += [Text(_said(one.behaviour, one.alpha, one.said)) for one in open_]
    parts += [Text(detection_said(one)) for one in report.detections]
    parts += [_transcript(one) for one in report.transcripts]
    if report.sources:
        parts.append(_table(SOURCES, source_lines(report)))
    parts.append(Text(CAVEAT, style="italic"))
    return Group(*parts)


def _checks(report: GateReport) -> list[RenderableType]:
    """What failed and what is worth knowing; all that is well in one line."""
    found: list[RenderableType] = []
    for status, mark, colour in (("failed", "x", "bold red"), ("note", "!", "yellow")):
        found += [
            Text(f"{mark} {one.name} ({one.subject}): {one.found}", style=colour)
            for one in by_status(report, status)
        ]
    fine = list(dict.fromkeys(one.name for one in by_status(report, "ok")))
    if fine:
        found.append(Text(f"Checked and well: {', '.join(fine)}.", style="dim"))
    return found


def _said(behaviour: str, alpha: float | None, said: str) -> str:
    at = "" if alpha is None else f" at alpha {alpha:g}"
    return f"{behaviour}{at}: {said}"


def _table(header: tuple[str, ...], lines: list[Line]) -> Table:
    # Eight columns have to fit 80 characters: that is what a CI log is.
    table = Table(
        box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0)
    )
    for name in header:
        numbers = name in ("alpha", "hits", "rate", "bounds", "limit", "rollouts")
        table.add_column(
            name,
            justify="right" if numbers else "left",
            overflow="fold",
            no_wrap=name == "verdict",
        )
    for line in lines:
        # Text, not str: nothing in a log may be read as console markup.
        *cells, last = line.cells
        row = [Text(cell) for cell in cells]
        table.add_row(*row, Text(last, style=COLOURS[line.mark]))
    return table


def _transcript(found: Transcript) -> Panel:
    body = Text.assemble(("user  ", "dim"), found.prompt, "\n", ("model ", "dim"))
    for part in found.reply:
        if part.decisive is None:
            body.append(part.text)
        else:
            body.append(part.text, style="bold black on yellow")
            body.append(f"\u00a0x{part.decisive:,.0f}", style="yellow")
    return Panel(
        body,
        title=Text(f"{found.behaviour}, alpha {found.alpha:g}"),
        title_align="left",
        subtitle=Text(f"{found.sample_id}, epoch {found.epoch}", style="dim"),
        subtitle_align="right",
    )
