"""The picture of what alpha does to the text: coherent rollouts against alpha.

Read beside the rate: where the text is broken, a hit is no finding, and neither is the
lack of one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inspect_lda.report.canvas import IN_PAGE, INK, canvas, head
from inspect_lda.report.summary import Summary
from inspect_lda.statistics.intervals import clopper_pearson
from inspect_lda.statistics.sweep import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _VERMILION = "#0072B2", "#D55E00"


def coherence_figure(summary: Summary) -> "Figure | None":
    """Coherent rollouts, and coherent hits; None where no rollout carries evidence.

    Raises:
        LDAError: If matplotlib is not installed.
    """
    rows = [row for row in summary.sweep if row.coherent is not None]
    if not rows:
        return None
    figure, axes = canvas(*IN_PAGE)
    coherent = [row.coherent or 0 for row in rows]
    hits = [row.coherent_k or 0 for row in rows]
    _curve(axes, rows, coherent, "all rollouts: coherent", _BLUE, "o")
    _curve(axes, rows, hits, "coherent hits", _VERMILION, "D")
    head(axes, "Coherence against alpha", "By the limits of this run's own alpha 0.")
    axes.set_xticks([row.alpha for row in rows], [f"{row.alpha:g}" for row in rows])
    axes.set_ylim(0, 1.05)
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g}%")
    axes.set_xlabel("alpha", color=INK)
    axes.set_ylabel("share of rollouts, 95% interval", color=INK)
    axes.tick_params(colors=INK)
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    return figure


def _curve(
    axes: "Axes",
    rows: Sequence[Row],
    counts: Sequence[int],
    name: str,
    colour: str,
    marker: str,
) -> None:
    shares = [count / row.n for count, row in zip(counts, rows, strict=True)]
    bounds = [clopper_pearson(k, row.n) for k, row in zip(counts, rows, strict=True)]
    both = list(zip(shares, bounds, strict=True))
    axes.errorbar(
        [row.alpha for row in rows],
        shares,
        [
            [x - bound.lower for x, bound in both],
            [bound.upper - x for x, bound in both],
        ],
        color=colour,
        marker=marker,
        ms=6,
        lw=1.8,
        capsize=3,
        elinewidth=1,
        label=name,
    )
