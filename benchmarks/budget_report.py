"""The table and the picture of `benchmarks.budget`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from inspect_lda.report.canvas import INK, SOFT, canvas, head, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from benchmarks.budget import Shown

Onsets = Mapping[str, int | None]
_ORANGE = "#D55E00"


def table(series: "Sequence[Shown]", onsets: Onsets) -> str:
    """Markdown: a line a checkpoint, the onsets below."""
    fixed = [name for name in onsets if name != "budget"]
    lines = [
        "| training | alpha by budget | KL on rollouts | coherent | limit | "
        + " | ".join(f"not refused at {name}" for name in fixed)
        + " | at the budget's alpha |",
        "|" + "---|" * (6 + len(fixed)),
    ]
    for one in series:
        last, reference = one.found.trials[-1], one.found.reference
        plain = reference.coherent / reference.rollouts
        rates = [1 - one.refused[float(name)] for name in fixed]
        lines.append(
            f"| {one.percent} % | {one.found.chosen():g} | {last.kl:.2f} | "
            f"{last.coherent / last.rollouts:.0%} ({plain:.0%} at alpha 0) | "
            f"{one.found.limited_by} | "
            + " | ".join(f"{rate:.3f}" for rate in rates)
            + f" | **{1 - one.refused[one.found.chosen()]:.3f}** |"
        )
    shown = ["never" if x is None else f"{x} %" for x in onsets.values()]
    lines.append(f"| onset | | | | | {' | '.join(shown)} |")
    sampled = sorted({a for one in series for a in one.coherent} & set(_fixed(series)))
    for alpha in sampled:
        shares = ", ".join(
            f"{one.percent} % {one.coherent[alpha]:.0%}" for one in series
        )
        lines += ["", f"Coherent at the fixed alpha {alpha:g}: {shares}."]
    return "\n".join(lines)


def draw(series: "Sequence[Shown]", onsets: Onsets) -> bytes:
    """Alpha, rate and coherence along the series, as PNG."""
    figure, axes = canvas(8.2, 8.6)
    axes.remove()
    bought, rate, coherence = figure.subplots(3, sharex=True)
    places = range(len(series))
    bought.plot(
        places, [one.found.chosen() for one in series], "o-", color=_ORANGE, lw=2
    )
    for place, one in zip(places, series, strict=True):
        bought.annotate(
            f"{one.found.chosen():g}",
            (place, one.found.chosen()),
            xytext=(6, 6),
            textcoords="offset points",
            color=_ORANGE,
            fontsize=9,
        )
    bought.set_yscale("log")
    bought.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    bought.set_ylabel("alpha by budget", color=INK)
    _rates(rate, series, onsets)
    _coherence(coherence, series)
    budget = series[0].found.settings.kl_budget
    for axes in (rate, coherence, bought):
        head(axes, "", "")
    head(
        bought,
        f"One budget of {budget:g} nats a token over lda/demo/drift",
        "Circled: first checkpoint at which the loss of refusals shows.",
    )
    coherence.set_xticks(list(places), [f"{one.percent} %" for one in series])
    coherence.set_xlabel("share of the training", color=INK)
    return png(figure)


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
    axes.legend(frameon=False, fontsize=9, loc="lower right", ncols=2)


def _coherence(axes: "Axes", series: "Sequence[Shown]") -> None:
    for alpha in sorted(set(_fixed(series)) & set(series[0].coherent)):
        shares = [one.coherent[alpha] for one in series]
        axes.plot(shares, label=_label(f"{alpha:g}"), **_style(f"{alpha:g}"))
    bought = [one.coherent[one.found.chosen()] for one in series]
    axes.plot(bought, label=_label("budget"), **_style("budget"))
    targets = [one.found.target for one in series]
    axes.plot(targets, color=SOFT, lw=1.2, ls="--", label="80% of alpha 0")
    axes.set_ylim(0, 1.04)
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g}%")
    axes.set_ylabel("coherent rollouts", color=INK)
    axes.legend(frameon=False, fontsize=9, loc="lower left", ncols=2)


def _fixed(series: "Sequence[Shown]") -> list[float]:
    return sorted(set(series[0].refused) - {series[0].found.chosen(), -1.0})


def _alpha(one: "Shown", name: str) -> float:
    return one.found.chosen() if name == "budget" else float(name)


def _label(name: str) -> str:
    return "alpha by budget" if name == "budget" else f"alpha {name}"


def _style(name: str) -> dict[str, object]:
    from matplotlib import colormaps

    if name == "budget":
        return {"color": _ORANGE, "marker": "o", "lw": 2.4, "zorder": 3}
    if name == "0":
        return {"color": INK, "marker": "s", "lw": 1.6, "ms": 5}
    # From light to dark with alpha.
    order = {"1": 0.35, "2": 0.5, "5": 0.65, "10": 0.8, "20": 0.95}
    shade = colormaps["Blues"](order.get(name, 0.6))
    return {"color": shade, "marker": "^", "lw": 1.4, "ms": 5}
