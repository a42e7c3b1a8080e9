"""The report as one self-contained page. Everything from a log is escaped."""

import base64
from html import escape
from importlib.resources import files
from string import Template

from inspect_lda.report.contrast import contrast_lines
from inspect_lda.report.examples import Example, Piece
from inspect_lda.report.figure import draw
from inspect_lda.report.own_rate import OwnRate
from inspect_lda.report.rate_lines import (
    PROMPT_HEADER,
    carried,
    prompt_lines,
    rate_headline,
    rate_lines,
)
from inspect_lda.report.summary import Summary
from inspect_lda.report.table import setting
from inspect_lda.report.wording import (
    CAVEAT,
    CONTROL_HEADER,
    SWEEP_HEADER,
    Line,
    control_lines,
    exact_finding,
    headline,
    sweep_lines,
    unscored_lines,
)


def page(summary: Summary, own: OwnRate | str = "") -> str:
    """The page, with the picture inside.

    Args:
        summary: The log.
        own: The model's own rate, or why there is none.
    """
    template = (files("inspect_lda.report") / "template.html").read_text("utf-8")
    verdict = "".join(f"<p>{escape(line)}</p>" for line in contrast_lines(summary))
    lost = "".join(f"<p>{escape(line)}</p>" for line in unscored_lines(summary))
    return Template(template).substitute(
        title=escape(f"{summary.task}: {summary.pattern}"),
        headline=escape(headline(summary)),
        setting=escape(setting(summary)),
        verdict=verdict,
        exact=escape(exact_finding(summary)),
        picture=base64.b64encode(draw(summary)).decode("ascii"),
        caveat=escape(CAVEAT),
        sweep=_table(SWEEP_HEADER, sweep_lines(summary), ""),
        controls=_table(CONTROL_HEADER, control_lines(summary), "words")
        if summary.controls
        else "<p>This log has no control arms.</p>",
        unscored=lost,
        own=_own_rate(own),
        examples="".join(map(_transcript, summary.examples)) or "<p>No hits.</p>",
        location=escape(summary.location),
        folder=escape(summary.location.rpartition("/")[0] or "."),
        created=escape(summary.created),
    )


def _own_rate(own: OwnRate | str) -> str:
    if isinstance(own, str):
        return f"<p>{escape(own)}</p>" if own else ""
    head = f"<p><strong>{escape(rate_headline(own))}</strong></p>"
    lines = "".join(f"<li>{escape(line)}</li>" for line in rate_lines(own))
    table = ""
    if found := prompt_lines(own.found):
        table = _table(PROMPT_HEADER, found, "names")
        note = escape(carried(own.found))
        table = f'<div class="scroll">{table}</div><p class="note">{note}</p>'
    return f"{head}<ul>{lines}</ul>{table}"


def _table(header: tuple[str, ...], lines: list[Line], style: str) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        f'<tr class="{line.mark}">'
        + "".join(f"<td>{escape(cell)}</td>" for cell in line.cells)
        + "</tr>"
        for line in lines
    )
    return (
        f'<table class="{style}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _transcript(example: Example) -> str:
    coherent = {True: "coherent", False: "not coherent", None: "coherence unknown"}
    caption = (
        f"alpha {example.alpha:g}, {coherent[example.coherent]}, sample "
        f"{example.sample_id}, epoch {example.epoch}"
    )
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f'<dl class="turn"><dt>user</dt><dd>{escape(example.prompt)}</dd>'
        f"<dt>model</dt><dd>{''.join(map(_piece, example.pieces))}</dd></dl></figure>"
    )


def _piece(piece: Piece) -> str:
    if piece.decisive is None:
        return escape(piece.text)
    return f"<mark>{escape(piece.text)}</mark><sup>&times;{piece.decisive:,.0f}</sup>"
