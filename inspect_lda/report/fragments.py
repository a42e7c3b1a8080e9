"""Pieces of a page. Whatever comes from a log or a policy is escaped here."""

import math
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from inspect_lda.report.examples import Example, Piece
from inspect_lda.report.wording import Line

FULL = math.log(1000)
"""A token made a thousand times likelier has the full colour; more is not darker."""
_COHERENT = {True: "coherent", False: "not coherent", None: "coherence unknown"}


def fill(name: str, /, **fields: str) -> str:
    """A template of the folder `templates`; fields are HTML, escaped where they must.

    Raises:
        KeyError: If the template has a field that is not given.
    """
    return Template(read(name)).substitute(fields)


@cache
def read(name: str) -> str:
    """The text of a template or style sheet."""
    return (files("inspect_lda.report") / "templates" / name).read_text("utf-8")


def paragraphs(lines: Iterable[str], style: str = "") -> str:
    """Each line as a paragraph; empty ones left out."""
    kind = f' class="{style}"' if style else ""
    return "".join(f"<p{kind}>{escape(line)}</p>" for line in lines if line)


def table(header: Sequence[str], lines: Iterable[Line], style: str = "") -> str:
    """A table that scrolls where the page is too narrow for it."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        f'<tr class="{line.mark}">'
        + "".join(f"<td>{escape(cell)}</td>" for cell in line.cells)
        + "</tr>"
        for line in lines
    )
    return (
        f'<div class="scroll"><table class="{style}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def transcript(example: Example, link: str | None = None) -> str:
    """A hit, its tokens coloured by what made them likely.

    Args:
        example: The hit.
        link: Where to read the sample in full.
    """
    where = f"sample {example.sample_id}, epoch {example.epoch}"
    caption = f"alpha {example.alpha:g}, {_COHERENT[example.coherent]}, "
    named = escape(where)
    if link is not None:
        named = f'<a href="{escape(link)}">{named}</a>'
    return fill(
        "transcript.html",
        caption=escape(caption) + named,
        prompt=escape(example.prompt),
        reply="".join(map(_piece, example.pieces)),
        strip=_strip(example.steered),
    )


def _piece(piece: Piece) -> str:
    if piece.decisive is None:
        return escape(piece.text)
    said = f"{piece.decisive:,.0f} times likelier here than at alpha 0"
    if piece.trained is not None:
        said += f", {_times(piece.trained)} after training than before"
    share = min(1.0, math.log(piece.decisive) / FULL)
    return (
        f'<mark style="--share:{share:.2f}" title="{said}">{escape(piece.text)}</mark>'
        f"<sup>&times;{piece.decisive:,.0f}</sup>"
    )


def _times(factor: float) -> str:
    if factor >= 1:
        return f"{factor:,.3g} times likelier"
    return f"{1 / factor:,.3g} times less likely" if factor else "impossible"


def _strip(steered: Sequence[float]) -> str:
    """Every token of the reply as a cell, the ones without a colour unmoved."""
    if not any(steered):
        return ""
    cells = "".join(
        f'<i class="{"more" if ratio > 0 else "less"}" '
        f'style="--share:{min(1.0, abs(ratio) / FULL):.2f}"></i>'
        for ratio in steered
    )
    return f'<div class="strip" title="all {len(steered)} tokens">{cells}</div>'
