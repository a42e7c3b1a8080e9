"""The picture of what alpha does to the text: coherent rollouts against alpha.

Read beside the rate: where the text is broken, a hit is no finding, and neither is the
lack of one.
"""

from typing import TYPE_CHECKING

from inspect_lda.report.canvas import IN_PAGE, INK, canvas, head
from inspect_lda.report.summary import Summary
from inspect_lda.statistics.intervals import clopper_pearson

if TYPE_CHECKING:
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
    kinds = (
        ("all rollouts: coherent", _BLUE, "o", [row.coherent or 0 for row in rows]),
        ("coherent hits", _VERMILION, "D", [row.coherent_k or 0 for row in rows]),
    )
    for name, colour, marker, counts in kinds:
        shares = [count / row.n for count, row in zip(counts, rows, strict=True)]
        bounds = [
            clopper_pearson(k, row.n) for k, row in zip(counts, rows, strict=True)
        ]
        arms = [
            [share - bound.lower for share, bound in zip(shares, bounds, strict=True)],
            [bound.upper - share for share, bound in zip(shares, bounds, strict=True)],
        ]
        alphas = [row.alpha for row in rows]
        style = {"color": colour, "marker": marker, "ms": 6, "lw": 1.8, "capsize": 3}
        axes.errorbar(alphas, shares, arms, label=name, elinewidth=1, **style)
    head(axes, "Coherence against alpha", "By the limits of this run's own alpha 0.")
    axes.set_xticks([row.alpha for row in rows], [f"{row.alpha:g}" for row in rows])
    axes.set_ylim(0, 1.05)
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g}%")
    axes.set_xlabel("alpha", color=INK)
    axes.set_ylabel("share of rollouts, 95% interval", color=INK)
    axes.tick_params(colors=INK)
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    return figure
