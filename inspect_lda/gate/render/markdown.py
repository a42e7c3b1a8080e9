"""Markdown, as for a pull request or `$GITHUB_STEP_SUMMARY`."""

import re
from html import escape

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

SIGNS = {"PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "❔", "INVALID": "🚫"}
# What would be read as markup, in a table or out of it; `@name` would notify somebody.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~@$])")


def render(report: GateReport) -> str:
    """The report as Markdown."""
    parts = [
        f"## {SIGNS[report.verdict]} {report.verdict}: {plain(report.policy)}",
        plain(report.headline),
        "\n".join(_checks(report)),
    ]
    if report.decisions:
        parts.append(plain(would_be(report)))
        parts.append(_table(DECISIONS, decision_lines(report)))
        told = [one for one in report.decisions if one.outcome != "PASS"]
        parts.append(
            "\n".join(f"- {plain(one.behaviour)}: {plain(one.said)}" for one in told)
        )
    parts += [plain(detection_said(one)) for one in report.detections]
    parts += [_transcript(one) for one in report.transcripts]
    if report.sources:
        parts.append(_folded("Logs", _table(SOURCES, source_lines(report))))
    parts.append(f"*{CAVEAT}*")
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: str) -> str:
    """A text that reads as it is written, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _checks(report: GateReport) -> list[str]:
    lines = []
    for status, mark in (("failed", "🚫"), ("note", "⚠️")):
        for one in by_status(report, status):
            where = f"{plain(one.name)} ({plain(one.subject)})"
            lines.append(f"- {mark} **{where}**: {plain(one.found)}")
    fine = list(dict.fromkeys(one.name for one in by_status(report, "ok")))
    if fine:
        lines.append(f"- Checked and well: {plain(', '.join(fine))}")
    return lines


def _table(header: tuple[str, ...], lines: list[Line]) -> str:
    rows = [header, ["---"] * len(header)]
    rows += [[plain(cell) for cell in line.cells] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _transcript(found: Transcript) -> str:
    reply = "".join(
        plain_run(part.text)
        if part.decisive is None
        else f"**{plain_run(part.text.strip())}** (x{part.decisive:,.0f})"
        for part in found.reply
    )
    body = f"> **user** {plain(found.prompt)}\n>\n> **model** {reply}"
    title = f"{found.behaviour}, alpha {found.alpha:g}: {found.sample_id}"
    return _folded(title, body)


def plain_run(text: str) -> str:
    """A stretch of a line; blanks at its ends stay."""
    return _SPECIAL.sub(r"\\\1", re.sub(r"\s+", " ", text))


def _folded(title: str, body: str) -> str:
    head = escape(" ".join(title.split())).replace("@", "&#64;")
    return f"<details><summary>{head}</summary>\n\n{body}\n\n</details>"
