"""The picture: rate against alpha, with what was computed and what was counted."""

from typing import TYPE_CHECKING

from inspect_lda.arms import (
    BEFORE,
    CONTROL,
    HARMLESS,
    IDENTITY,
    MIRROR,
    PLACEBO,
    SWEEP,
    TRIGGERED,
)
from inspect_lda.report.canvas import IN_PAGE, INK, SOFT, canvas, head, png
from inspect_lda.report.summary import Summary
from inspect_lda.statistics.rates import rule_of_three
from inspect_lda.statistics.sweep import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008: told apart by colour-blind readers; markers differ as well.
_BLUE, _SKY = "#0072B2", "#56B4E9"
_STYLES = {
    SWEEP: ("#D55E00", "o", "rollouts, 95% interval"),
    TRIGGERED: ("#009E73", "^", "control: with the trigger"),
    BEFORE: ("#6E6E6E", "s", "control: model before training"),
    CONTROL: ("#CC79A7", "D", "control: pair without it"),
    HARMLESS: ("#E69F00", "v", "harmless prompts"),
    MIRROR: ("#56B4E9", "<", "control: pair swapped"),
    PLACEBO: ("#B8A800", "P", "control: push on other tokens"),
    IDENTITY: ("#6E6E6E", "x", "control: pair with itself"),
}
# Beside the sweep's point at the same alpha, not on top of it.
_BESIDE = {BEFORE: 0.0, MIRROR: 0.0, PLACEBO: -1.0, IDENTITY: 2.0}
_OTHER = ("#222222", "X", "")
_NONE = "no hit: 95% sure to be below"
FLOOR = 1e-10
"""Exact chances below are left out: some reach 1e-60, and would flatten all others."""


def draw(summary: Summary) -> bytes:
    """Draw the picture as PNG.

    Raises:
        LDAError: If matplotlib is not installed.
    """
    return png(rate_figure(summary))


def rate_figure(summary: Summary, *, in_page: bool = False) -> "Figure":
    """The picture; in a page it is smaller, and what it shows is said around it.

    Raises:
        LDAError: If matplotlib is not installed.
    """
    figure, axes = canvas(*(IN_PAGE if in_page else (8.2, 5.4)))
    _exact_curves(axes, summary)
    beside = {row.alpha for row in summary.controls}
    for row in summary.sweep:
        # A curve that rises leaves the upper left of its points free.
        _point(axes, row, 0.0, left=row.k > 0 or row.alpha in beside)
    shift = 0.035 * _span(summary)
    for row in summary.controls:
        _point(axes, row, _BESIDE.get(row.arm, 1.0) * shift)
    _scales(axes, summary)
    _words(axes, summary, in_page=in_page)
    _legend(figure, summary, 2 if in_page else 3)
    return figure


def _exact_curves(axes: "Axes", summary: Summary) -> None:
    for name, colour, dashes in (("mean", _BLUE, "-"), ("median", _SKY, (0, (4, 2)))):
        points = [p for p in summary.exact if getattr(p, name) >= FLOOR]
        chances = [getattr(p, name) for p in points]
        alphas = [p.alpha for p in points]
        axes.plot(alphas, chances, color=colour, lw=2, ls=dashes, marker=".", ms=8)


def _point(axes: "Axes", row: Row, shift: float, *, left: bool = False) -> None:
    """A rate with its interval, or an arrow down from the bound after zero hits."""
    colour, marker, _ = _STYLES.get(row.arm, _OTHER)
    x = row.alpha + shift
    if row.k:
        y = row.rate
        arms = [[y - row.exact.lower], [row.exact.upper - y]]
        axes.errorbar(
            [x], [y], arms, fmt=marker, ms=7, color=colour, capsize=4, lw=1.6, zorder=3
        )
    else:
        y = rule_of_three(row.n)
        axes.plot([x], [y], "_", ms=13, mew=2.2, color=colour, zorder=3)
        arrow = {"arrowstyle": "<|-", "color": colour, "lw": 1.6}
        axes.annotate("", (x, y), (0, -24), "data", "offset points", arrow)
    axes.annotate(
        f"{row.k:,}/{row.n:,}",
        (x, y),
        xytext=(-9, 4) if left else (9, 4),
        ha="right" if left else "left",
        textcoords="offset points",
        fontsize=9,
        color=colour,
    )


def _span(summary: Summary) -> float:
    alphas = [row.alpha for row in (*summary.sweep, *summary.controls)]
    return max(alphas, default=0.0) - min(alphas, default=0.0) or 1.0


def _scales(axes: "Axes", summary: Summary) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low / 2, min(high * 1.5, 1.7))
    axes.yaxis.set_major_formatter(lambda y, _: _tick(y))
    axes.yaxis.set_minor_locator(NullLocator())
    alphas = {row.alpha for row in (*summary.sweep, *summary.controls)}
    axes.xaxis.set_major_locator(FixedLocator(sorted(alphas)))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    left, right = axes.get_xlim()
    room = right - left  # for the first and the last label
    axes.set_xlim(left - 0.03 * room, right + 0.06 * room)


def _words(axes: "Axes", summary: Summary, *, in_page: bool) -> None:
    model, _, options = summary.model.partition("(")
    kind = ", weights amplified" if "amplify=weights" in options else ""
    faint = any(0 <= point.median < FLOOR for point in summary.exact)
    below = f"Exact chances below {FLOOR:g}: not shown." if faint else ""
    if in_page:
        head(axes, "Rate against alpha", below)
    else:
        head(
            axes,
            f"{summary.pattern!r} in {model}{kind}",
            "A rate under amplification is a detection, not the model's own rate."
            + (below and f" {below}"),
        )
    axes.set_xlabel("alpha  (-1 before training, 0 after training)", color=INK)
    axes.set_ylabel("share of rollouts (log scale)", color=INK)
    axes.tick_params(colors=INK)


def _legend(figure: "Figure", summary: Summary, columns: int) -> None:
    from matplotlib.lines import Line2D

    handles = []
    if summary.exact:
        handles = [
            Line2D([], [], color=_BLUE, lw=2, label="exact, mean over prompts"),
            Line2D([], [], color=_SKY, lw=2, ls="--", label="exact, median prompt"),
        ]
    rows = (*summary.sweep, *summary.controls)
    for arm in dict.fromkeys(row.arm for row in rows):
        colour, marker, name = _STYLES.get(arm, _OTHER)
        handles.append(
            Line2D([], [], color=colour, marker=marker, ls="", label=name or arm)
        )
    if any(row.k == 0 for row in rows):
        handles.append(
            Line2D([], [], color=SOFT, marker="_", ms=11, mew=2, ls="", label=_NONE)
        )
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        fontsize=9,
    )


def _tick(y: float) -> str:
    return f"{100 * y:g}%" if y >= 1e-5 else f"{y:.0e}"
