"""The first table of a page: every behaviour at every alpha, at a glance."""

from collections.abc import Sequence
from html import escape

from inspect_lda.arms import BEFORE, CONTROL
from inspect_lda.naming import parse_name
from inspect_lda.report.summary import Summary
from inspect_lda.report.wording import bounds, percent
from inspect_lda.statistics.sweep import Row


def overview(findings: Sequence[Summary], names: Sequence[str]) -> str:
    """The table, as HTML.

    Args:
        findings: The rows.
        names: Of the section of each.
    """
    alphas = sorted({row.alpha for one in findings for row in one.sweep})
    heads = ["behaviour", *(f"alpha {alpha:g}" for alpha in alphas)]
    heads += ["model before\ntraining", "pair\nwithout it"]
    head = "".join(
        f'<th class="text">{escape(name)}</th>' if not index else f"<th>{name}</th>"
        for index, name in enumerate(heads)
    )
    body = "".join(
        _line(one, name, alphas) for one, name in zip(findings, names, strict=True)
    )
    return (
        '<div class="scroll"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
        '<p class="note">Hits of rollouts, and below the 95% interval. Read a row from '
        "left to right: alpha 0 is the model as released.</p>"
    )


def _line(summary: Summary, name: str, alphas: Sequence[float]) -> str:
    after, _ = parse_name(summary.model)
    first = (
        f'<td class="text"><a href="#{name}">{escape(summary.pattern)}</a>'
        f"<small>{escape(summary.task)} on {escape(after)}</small></td>"
    )
    by_alpha = {row.alpha: row for row in summary.sweep}
    cells = [_cell(by_alpha.get(alpha)) for alpha in alphas]
    for arm in (BEFORE, CONTROL):
        # The hardest push of a control is the one that says most.
        rows = [row for row in summary.controls if row.arm == arm]
        cells.append(_cell(max(rows, key=lambda row: abs(row.alpha), default=None)))
    return f"<tr>{first}{''.join(cells)}</tr>"


def _cell(row: Row | None) -> str:
    if row is None:
        return "<td>-</td>"
    # The root: 1 % is to be seen beside 100 %.
    share = row.rate**0.5
    return (
        f'<td class="heat" style="--share:{share:.2f}">'
        f"{percent(row.rate) if row.k else 'none seen'}"
        f"<small>{row.k:,} / {row.n:,}<br>{escape(bounds(row))}</small></td>"
    )
