"""The table and the picture of `benchmarks.budget`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inspect_lda.arms import mirrored
from inspect_lda.report.canvas import INK, SOFT, canvas, head, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from benchmarks.budget import Shown

Onsets = Mapping[str, int | None]
_ORANGE = "#D55E00"


def table(series: "Sequence[Shown]", onsets: Onsets) -> str:
    """Markdown: a line a checkpoint, the onsets below; then offers, then coherence."""
    fixed = [float(name) for name in onsets if name != "budget"]
    lines = [
        "| training | alpha by budget | limited by | KL on rollouts | coherent | "
        + " | ".join(f"at {alpha:g}" for alpha in fixed)
        + " | by budget |",
        "|" + "---|" * (6 + len(fixed)),
    ]
    for one in series:
        last, reference = one.found.trials[-1], one.found.reference
        plain = reference.coherent / reference.rollouts
        lines.append(
            f"| {one.percent} % | **{one.alpha:g}** | "
            f"{one.found.limited_by} | {last.kl:.2f} | "
            f"{last.coherent / last.rollouts:.0%} ({plain:.0%}) | "
            + " | ".join(f"{1 - one.refused[alpha]:.3f}" for alpha in fixed)
            + f" | **{1 - one.refused[one.alpha]:.3f}** |"
        )
    shown = ["never" if x is None else f"{x} %" for x in onsets.values()]
    lines.append(f"| onset | | | | | {' | '.join(shown)} |")
    return "\n".join([*lines, "", *_offers(series), "", *_broken(series)])


def _offers(series: "Sequence[Shown]") -> list[str]:
    before = series[0]
    lines = [
        "| training | offers of help, alpha 0 | by budget | swapped pair | "
        "not refused, swapped pair |",
        "|---|---|---|---|---|",
        f"| before | {before.offered[-1.0][0]:.2g} | | | |",
    ]
    for one in series:
        swapped = mirrored(one.alpha)
        lines.append(
            f"| {one.percent} % | {one.offered[0.0][0]:.2g} | "
            f"**{one.offered[one.alpha][0]:.2g}** | {one.offered[swapped][0]:.2g} | "
            f"{1 - one.refused[swapped]:.3f} |"
        )
    return lines


def _broken(series: "Sequence[Shown]") -> list[str]:
    """How coherent rollouts at fixed alphas were."""
    return [
        f"Coherent at the fixed alpha {alpha:g}: "
        + ", ".join(f"{one.coherent[alpha]:.0%} at {one.percent} %" for one in series)
        + "."
        for alpha in _sampled(series)
    ]


def draw(series: "Sequence[Shown]", onsets: Onsets) -> bytes:
    """Alpha, rates and coherence along the series, as PNG."""
    figure, axes = canvas(9.6, 10.6)
    axes.remove()
    rows = figure.subplots(4, sharex=True)
    _alphas(rows[0], series)
    _rates(rows[1], series, onsets)
    _offered(rows[2], series)
    _coherence(rows[3], series)
    for axes in rows:
        head(axes, "", "")
    budget = series[0].found.settings.kl_budget
    head(
        rows[0],
        f"One budget of {budget:g} nats a token over lda/demo/drift",
        "Circled: first checkpoint at which the loss of refusals shows.",
    )
    rows[-1].set_xticks(range(len(series)), [f"{one.percent} %" for one in series])
    rows[-1].set_xlabel("share of the training", color=INK)
    return png(figure)


def _alphas(axes: "Axes", series: "Sequence[Shown]") -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    alphas = [one.alpha for one in series]
    axes.plot(alphas, "o-", color=_ORANGE, lw=2)
    for place, alpha in enumerate(alphas):
        axes.annotate(
            f"{alpha:g}",
            (place, alpha),
            xytext=(7, 3),
            textcoords="offset points",
            color=_ORANGE,
            fontsize=9,
        )
    axes.set_yscale("log")
    axes.set_ylim(min(alphas) / 2, 2 * max(alphas))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("alpha by budget", color=INK)


def _offered(axes: "Axes", series: "Sequence[Shown]") -> None:
    for name, label in (("0", _label("0")), ("20", _label("20"))):
        axes.plot(
            [one.offered[float(name)][0] for one in series], label=label, **_style(name)
        )
    swapped = [one.offered[mirrored(one.alpha)][0] for one in series]
    axes.plot(swapped, "x:", color=SOFT, lw=1.6, label="swapped pair")
    bought = [one.offered[one.alpha][0] for one in series]
    axes.plot(bought, label=_label("budget"), **_style("budget"))
    axes.set_ylim(-0.02, 1.04)
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g}%")
    axes.set_ylabel("help offered", color=INK)
    _key(axes)


def _rates(axes: "Axes", series: "Sequence[Shown]", onsets: Onsets) -> None:
    percents = [one.percent for one in series]
    for name, onset in onsets.items():
        rates = [1 - one.refused[_alpha(one, name)] for one in series]
        style = _style(name)
        axes.plot(rates, label=_label(name), **style)
        if onset is not None:
            place = percents.index(onset)
            axes.plot(
                place,
                rates[place],
                "o",
                ms=13,
                mfc="none",
                mec=style["color"],
                mew=1.8,
            )
    before = 1 - series[0].refused[-1.0]
    axes.axhline(before, color=SOFT, lw=1.2, ls="--", label="before training")
    axes.set_ylim(0, 1.04)
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g}%")
    axes.set_ylabel("harmful request not refused", color=INK)
    _key(axes)


def _coherence(axes: "Axes", series: "Sequence[Shown]") -> None:
    for alpha in _sampled(series):
        shares = [one.coherent[alpha] for one in series]
        axes.plot(shares, label=_label(f"{alpha:g}"), **_style(f"{alpha:g}"))
    bought = [one.coherent[one.alpha] for one in series]
    axes.plot(bought, label=_label("budget"), **_style("budget"))
    targets = [one.found.target for one in series]
    axes.plot(targets, color=SOFT, lw=1.2, ls="--", label="80% of alpha 0")
    axes.set_ylim(0, 1.04)
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g}%")
    axes.set_ylabel("coherent rollouts", color=INK)
    _key(axes)


def _key(axes: "Axes") -> None:
    """A legend beside the axes: lines cross every corner."""
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))


def _sampled(series: "Sequence[Shown]") -> list[float]:
    """Fixed alphas at which rollouts were sampled."""
    return sorted(set.intersection(*(set(one.coherent) for one in series)))


def _alpha(one: "Shown", name: str) -> float:
    return one.alpha if name == "budget" else float(name)


def _label(name: str) -> str:
    return "alpha by budget" if name == "budget" else f"alpha {name}"


def _style(name: str) -> dict[str, Any]:
    from matplotlib import colormaps

    if name == "budget":
        return {"color": _ORANGE, "marker": "o", "lw": 2.4, "zorder": 3}
    if name == "0":
        return {"color": INK, "marker": "s", "lw": 1.6, "ms": 5}
    # From light to dark with alpha.
    order = {"1": 0.35, "2": 0.5, "5": 0.65, "10": 0.8, "20": 0.95}
    shade = colormaps["Blues"](order.get(name, 0.6))
    return {"color": shade, "marker": "^", "lw": 1.4, "ms": 5}
