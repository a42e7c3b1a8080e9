"""The picture of a calibration: what alpha costs, and where it stops."""

from typing import TYPE_CHECKING

from inspect_lda.calibration.found import Calibration
from inspect_lda.report.canvas import GRID, INK, SOFT, canvas, head, png
from inspect_lda.statistics.intervals import clopper_pearson

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#009E73"


def draw_calibration(found: Calibration) -> bytes:
    """Draw KL, surprise and coherence against alpha as PNG.

    Raises:
        LDAError: If matplotlib is not installed.
        ValueError: If the calibration has no curves.
    """
    if not found.curves:
        raise ValueError(f"nothing to draw: {found.invalid}")
    figure, axes = canvas(8.2, 7.6)
    from matplotlib.ticker import LogLocator, NullLocator

    axes.remove()
    kl, surprise, coherence = figure.subplots(3, sharex=True)
    _kl(kl, found)
    _surprise(surprise, found)
    _coherence(coherence, found)
    for axes in (kl, surprise, coherence):
        axes.grid(color=GRID, lw=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK)
        if found.alpha is not None:
            axes.axvline(found.alpha, color=_ORANGE, lw=1.6)
    title = f"no alpha: {found.invalid}"
    if found.alpha is not None:
        title = f"alpha {found.alpha:g} for {found.pair.after}"
    note = (
        f"Limits dashed. {found.prompts.prompts} prompts, {found.reference.tokens:,} "
        f"tokens at alpha 0, T={found.settings.temperature:g}; bands and bars 95%."
    )
    head(kl, title, note)
    coherence.set_xscale("log")
    coherence.set_xlabel("alpha (log scale)", color=INK)
    coherence.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    coherence.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    coherence.xaxis.set_minor_locator(NullLocator())
    low, high = _span(found)
    coherence.set_xlim(low, high)
    return png(figure)


def _span(found: Calibration) -> tuple[float, float]:
    """Two octaves beyond the budget, and six below."""
    top = found.alpha_kl or found.curves[-1].alpha
    return top / 64, min(4 * top, 1.2 * found.curves[-1].alpha)


def _kl(axes: "Axes", found: Calibration) -> None:
    points = [p for p in found.curves if p.alpha > 0 and p.kl > 0]
    alphas = [p.alpha for p in points]
    axes.plot(alphas, [p.kl for p in points], color=_BLUE, lw=2)
    low = [max(p.kl - 1.96 * p.kl_se, 1e-9) for p in points]
    high = [p.kl + 1.96 * p.kl_se for p in points]
    axes.fill_between(alphas, low, high, color=_BLUE, alpha=0.2, lw=0)
    budget = found.settings.kl_budget
    axes.axhline(budget, color=SOFT, lw=1.2, ls="--")
    axes.set_yscale("log")
    axes.set_ylim(budget / 1000, 20 * budget)
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    axes.set_ylabel("KL(q || after), nats a token", color=INK)


def _surprise(axes: "Axes", found: Calibration) -> None:
    base, *points = found.curves
    alphas = [p.alpha for p in points]
    axes.plot(alphas, [p.surprise for p in points], color=_BLUE, lw=2)
    low = [p.surprise - 1.96 * p.surprise_se for p in points]
    high = [p.surprise + 1.96 * p.surprise_se for p in points]
    axes.fill_between(alphas, low, high, color=_BLUE, alpha=0.2, lw=0)
    limit = base.surprise + found.settings.margin
    axes.axhline(limit, color=SOFT, lw=1.2, ls="--")
    axes.set_ylim(0, 3 * limit)
    axes.set_ylabel("surprise, nats a token", color=INK)


def _coherence(axes: "Axes", found: Calibration) -> None:
    reference = found.reference
    plain = reference.coherent / reference.rollouts
    axes.axhline(plain, color=_GREEN, lw=1.2, label="alpha 0")
    keep = f"{found.settings.keep:.0%} of it"
    axes.axhline(found.target, color=SOFT, lw=1.2, ls="--", label=keep)
    axes.plot([], [], "o", color=_GREEN, label="kept")
    axes.plot([], [], "x", color=SOFT, label="not kept")
    for trial in found.trials:
        share = trial.coherent / trial.rollouts
        bounds = clopper_pearson(trial.coherent, trial.rollouts)
        axes.errorbar(
            [trial.alpha],
            [share],
            [[share - bounds.lower], [bounds.upper - share]],
            fmt="o" if trial.kept else "x",
            color=_GREEN if trial.kept else SOFT,
            ms=7,
            capsize=4,
            lw=1.6,
        )
    axes.legend(frameon=False, fontsize=9, loc="lower left", ncols=4)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g}%")
    axes.set_ylabel("coherent rollouts", color=INK)
