"""The picture of a check: signal and noise against alpha."""

from typing import TYPE_CHECKING

from inspect_lda.calibration.document import Check
from inspect_lda.calibration.result import SelfTest, honest_text
from inspect_lda.report.canvas import INK, SOFT, canvas, head, png
from inspect_lda.values import MAX_ALPHA

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito 2008, as in the other pictures.
_SIGNAL, _NOISE, _TRUTH = "#0072B2", "#D55E00", "#6E6E6E"
FLOOR = 1e-7
"""Total variation below this is what float32 makes of equal distributions."""
LEGEND = 5.0
"""Alpha from which on a label to the right would meet the legend."""


def draw_check(check: Check) -> bytes:
    """Draw the picture as PNG.

    Raises:
        LDAError: If matplotlib is not installed.
    """
    figure, axes = canvas(8.2, 5.2)
    test = check.test
    alphas = [point.alpha for point in test.curve]
    _line(axes, alphas, [p.signal_tv for p in test.curve], _SIGNAL, "-", "signal")
    _line(axes, alphas, [p.noise_tv for p in test.curve], _NOISE, "--", "noise")
    truth = [p.truth_tv for p in test.curve if p.truth_tv is not None]
    if truth:
        _line(axes, alphas, truth, _TRUTH, ":", "off from float32")
    _bounds(axes, test)
    _words(axes, check)
    return png(figure)


def _line(
    axes: "Axes",
    alphas: list[float],
    values: list[float],
    colour: str,
    dashes: str,
    name: str,
) -> None:
    shown = [(a, v) for a, v in zip(alphas, values, strict=True) if v > FLOOR]
    if not shown:
        return
    x, y = zip(*shown, strict=True)
    axes.plot(x, y, color=colour, ls=dashes, lw=2.2, label=name)


def _bounds(axes: "Axes", test: SelfTest) -> None:
    axes.axhline(test.limits.max_tv, color=SOFT, lw=1, ls=(0, (1, 2)))
    axes.annotate(
        f"noise bound {test.limits.max_tv:g}",
        (1, test.limits.max_tv),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
        color=SOFT,
    )
    honest = test.honest_alpha
    if honest is None:
        return
    axes.axvspan(test.curve[0].alpha, honest, color="#009E73", alpha=0.08, lw=0)
    if honest < MAX_ALPHA:
        axes.axvline(honest, color="#009E73", lw=1.6)
        # Below both curves; the legend stands on the right.
        left = honest < LEGEND
        axes.annotate(
            f"largest honest alpha: {honest_text(honest)}",
            (honest, 0.03),
            xycoords=("data", "axes fraction"),
            xytext=(6 if left else -6, 0),
            textcoords="offset points",
            ha="left" if left else "right",
            fontsize=9.5,
            color="#00704F",
        )


def _words(axes: "Axes", check: Check) -> None:
    test = check.test
    name = (
        check.after.name.rpartition("/")[2]
        if "/" in check.after.name
        else check.after.name
    )
    note = f"{test.precision} on {check.device}, batches of {test.rows}. "
    note += "Honest: noise below its bound and below "
    note += f"{test.limits.share:g} of the signal."
    head(axes, f"Signal and noise of {name}", note)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(test.curve[0].alpha, test.curve[-1].alpha)
    low = max(FLOOR, axes.get_ylim()[0])
    axes.set_ylim(low, 1.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("alpha", color=INK)
    axes.set_ylabel("total variation a token", color=INK)
    axes.legend(frameon=False, fontsize=9.5, loc="lower right")
