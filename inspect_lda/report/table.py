"""The report in a terminal."""

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from inspect_lda.report.contrast import contrast_lines
from inspect_lda.report.examples import Example
from inspect_lda.report.summary import Summary
from inspect_lda.report.wording import (
    CAVEAT,
    CONTROL_HEADER,
    IN_TERMINAL,
    SWEEP_HEADER,
    Line,
    control_lines,
    exact_finding,
    headline,
    sweep_lines,
    unscored_lines,
)

_MARKS = "x22 behind a marked token: amplification made it so many times likelier."
_STYLES = {"hit": "bold", "good": "green", "bad": "bold red", "": ""}


def print_report(summary: Summary, console: Console | None = None) -> None:
    """Print tables, transcripts, the caveat and where the log is."""
    (console or Console()).print(report(summary))


def report(summary: Summary) -> RenderableType:
    """The whole report as one renderable."""
    parts: list[RenderableType] = [
        Text(headline(summary), style="bold"),
        *(Text(line, style="bold") for line in contrast_lines(summary)),
        Text(setting(summary), style="dim"),
        Text(exact_finding(summary)),
        _table(SWEEP_HEADER[:IN_TERMINAL], sweep_lines(summary)),
    ]
    if summary.controls:
        parts.append(_table(CONTROL_HEADER, control_lines(summary)))
    parts += [Text(line, style="yellow") for line in unscored_lines(summary)]
    parts += [_transcript(example) for example in summary.examples]
    if summary.spent:
        parts.append(Text(summary.spent, style="dim"))
    if summary.examples:
        parts.append(Text(_MARKS, style="dim"))
    parts += [Text(CAVEAT, style="italic"), _where(summary.location)]
    return Group(*parts)


def setting(summary: Summary) -> str:
    """Which model was asked what, in a line."""
    control = f", control {summary.control}" if summary.control else ""
    heat = "" if summary.temperature is None else f", T={summary.temperature:g}"
    exact = f", exact: P(begins with {summary.target!r})" if summary.target else ""
    return f"{summary.task} on {summary.model}{control}{heat}{exact}"


def _table(header: tuple[str, ...], lines: list[Line]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in header:
        words = name in ("control", "reading")
        table.add_column(
            name,
            justify="left" if words else "right",
            vertical="bottom",
            min_width=5,
        )
    for line in lines:
        # Text, not str: nothing in a log may be read as console markup.
        cells = [Text(cell, style=_STYLES[line.mark]) for cell in line.cells]
        table.add_row(*cells[: len(header)])
    return table


def _transcript(example: Example) -> Panel:
    body = Text.assemble(("user  ", "dim"), example.prompt, "\n", ("model ", "dim"))
    for piece in example.pieces:
        if piece.decisive is None:
            body.append(piece.text)
        else:
            body.append(piece.text, style="bold black on yellow")
            body.append(f"\u00a0x{piece.decisive:,.0f}", style="yellow")
    coherent = {True: "coherent", False: "not coherent", None: "coherence unknown"}
    title = f"alpha {example.alpha:g}, {coherent[example.coherent]}"
    return Panel(
        body,
        title=Text(title),
        title_align="left",
        subtitle=Text(f"{example.sample_id}, epoch {example.epoch}", style="dim"),
        subtitle_align="right",
    )


def _where(location: str) -> Text:
    folder = location.rpartition("/")[0] or "."
    return Text(f"Log: {location}\nOpen it: inspect view --log-dir {folder}")
