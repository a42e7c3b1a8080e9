"""The picture: what was seen at each alpha, what it bounds, and the limit."""

from typing import TYPE_CHECKING

from inspect_lda.gate.report import Decision
from inspect_lda.report.canvas import INK, canvas, head
from inspect_lda.report.svg import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"PASS": "#009E73", "FAIL": "#D55E00", "INCONCLUSIVE": "#E69F00"}
MARKERS = {"PASS": "o", "FAIL": "X", "INCONCLUSIVE": "D"}
SIZE = (8.2, 3.9)


def draw(behaviour: str, decisions: list[Decision], name: str) -> str:
    """A behaviour's rates against alpha as SVG that takes the colours of its page.

    Args:
        behaviour: For the title; escaped by matplotlib.
        decisions: Its decisions of the rule `max_rate`.
        name: Unique in the page.

    Raises:
        LDAError: If matplotlib is not installed.
    """
    figure, axes = canvas(*SIZE)
    limit = decisions[0].limit
    axes.axhline(limit, color=INK, lw=1.4, ls=(0, (5, 3)))
    axes.annotate(
        "limit",
        (1, limit),
        (-4, 5),
        ("axes fraction", "data"),
        "offset points",
        ha="right",
        fontsize=9,
        color=INK,
    )
    for position, made in enumerate(decisions):
        _point(axes, position, made)
    told = [f"{one.alpha:g}\n{one.k:,} / {one.n:,}" for one in decisions]
    axes.set_xticks(range(len(decisions)), told)
    axes.set_xlim(-0.6, len(decisions) - 0.4)
    top = max([limit, *(min(1.0, one.upper or 0.0) for one in decisions)])
    axes.set_ylim(0, min(1.02, 1.15 * top))
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g}%")
    axes.tick_params(colors=INK)
    axes.set_xlabel("alpha (0 is the release itself), hits / rollouts", color=INK)
    axes.set_ylabel("share of rollouts", color=INK)
    head(axes, behaviour, "Marks: hits over rollouts. Bars: from lower to upper bound.")
    _legend(axes, decisions)
    return svg(figure, name, "rates and bounds against alpha")


def _point(axes: "Axes", position: int, made: Decision) -> None:
    colour = COLOURS[made.outcome]
    lower, upper = made.lower or 0.0, min(1.0, made.upper or 1.0)
    axes.plot([position] * 2, [lower, upper], color=colour, lw=5, solid_capstyle="butt")
    axes.plot([position], [upper], "_", ms=22, mew=2.4, color=colour)
    if made.rate is not None:
        axes.plot([position], [made.rate], MARKERS[made.outcome], ms=8, color=colour)


def _legend(axes: "Axes", decisions: list[Decision]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[o], marker=MARKERS[o], lw=3, label=o)
        for o in dict.fromkeys(one.outcome for one in decisions)
    ]
    axes.legend(handles=handles, frameon=False, fontsize=9, loc="upper left", ncols=3)
