"""The model's own rate as a part of a page."""

from html import escape

from inspect_lda.report.fragments import paragraphs, table
from inspect_lda.report.own_rate import OwnRate
from inspect_lda.report.rate_lines import (
    PROMPT_HEADER,
    carried,
    prompt_lines,
    rate_headline,
    rate_lines,
)


def own_section(own: OwnRate | str) -> str:
    """The rate, what it rests on and who carries it, or why there is none."""
    if isinstance(own, str):
        return paragraphs([own])
    lines = "".join(f"<li>{escape(line)}</li>" for line in rate_lines(own))
    head = paragraphs([rate_headline(own)], "lead")
    found = prompt_lines(own.found)
    if not found:
        return f"{head}<ul>{lines}</ul>"
    prompts = table(PROMPT_HEADER, found, "decisions")
    return f"{head}<ul>{lines}</ul>{prompts}{paragraphs([carried(own.found)], 'note')}"
