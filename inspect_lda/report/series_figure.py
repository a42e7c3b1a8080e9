"""The picture of a series: rate against training, one line an alpha."""

from typing import TYPE_CHECKING

from inspect_lda.report.canvas import INK, SOFT, canvas, head, png
from inspect_lda.report.series import Series, Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import ColorType

_MARKERS = "osD^vPX"
OWN = "#D55E00"
"""Of the track in which every checkpoint has an alpha of its own."""


def draw_series(series: Series) -> bytes:
    """Draw the picture as PNG.

    Raises:
        LDAError: If matplotlib is not installed.
    """
    return png(series_figure(series))


def series_figure(series: Series) -> "Figure":
    """The picture.

    Raises:
        LDAError: If matplotlib is not installed.
    """
    figure, axes = canvas(8.2, 5.2)
    places = series.steps or tuple(range(len(series.names)))
    before = series.baseline
    axes.axhspan(before.exact.lower, before.exact.upper, color=SOFT, alpha=0.15, lw=0)
    axes.axhline(before.rate, color=SOFT, lw=1.2, ls="--", label="before training")
    for index, track in enumerate(series.tracks):
        _line(axes, track, places, index, _colour(track, series.tracks))
    _words(axes, series, places)
    return figure


def _colour(track: Track, tracks: tuple[Track, ...]) -> "ColorType":
    """Ink for plain sampling; darker the further amplified (red) or dampened (blue)."""
    from matplotlib import colormaps

    if track.alpha == 0:
        return INK
    if track.alpha is None:
        return OWN
    known = [one.alpha for one in tracks if one.alpha is not None]
    sizes = [abs(alpha) for alpha in known if alpha * track.alpha > 0]
    place = sorted(sizes).index(abs(track.alpha)) / max(1, len(sizes) - 1)
    name = "YlOrRd" if track.alpha > 0 else "Blues"
    return colormaps[name](0.4 + 0.5 * place)


def _line(
    axes: "Axes",
    track: Track,
    places: tuple[float, ...],
    index: int,
    colour: "ColorType",
) -> None:
    rates = [row.rate for row in track.rows]
    below = [row.rate - row.exact.lower for row in track.rows]
    above = [row.exact.upper - row.rate for row in track.rows]
    marker = _MARKERS[index % len(_MARKERS)]
    axes.errorbar(
        places,
        rates,
        [below, above],
        color=colour,
        marker=marker,
        ms=6,
        lw=1.8,
        capsize=3,
        elinewidth=1,
        label=track.name,
    )
    if track.onset is not None:
        spot = (places[track.onset], rates[track.onset])
        axes.plot(*spot, marker, ms=14, mfc="none", mec=colour, mew=1.8)


def _words(axes: "Axes", series: Series, places: tuple[float, ...]) -> None:
    summary = series.summaries[0]
    model = summary.model.split("(")[0].rpartition("@")[0] or summary.model
    head(
        axes,
        f"{summary.pattern} in {model}",
        "Circled: first checkpoint above the model before training (corrected).",
    )
    axes.set_xticks(list(places), list(series.names))
    axes.set_xlabel("checkpoint, in the order of training", color=INK)
    axes.set_ylabel("share of rollouts, 95% interval", color=INK)
    axes.set_ylim(0, min(1.02, 1.1 * axes.get_ylim()[1]))
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g}%")
    axes.legend(frameon=False, fontsize=9)
    for track in series.tracks:
        if track.alpha is None:
            _alphas(axes, track, places)


def _alphas(axes: "Axes", track: Track, places: tuple[float, ...]) -> None:
    """The alpha at each point, where they differ."""
    for place, row in zip(places, track.rows, strict=True):
        axes.annotate(
            f"{row.alpha:g}",
            (place, row.rate),
            xytext=(6, -11),  # a rate rises to the right, as a rule
            textcoords="offset points",
            color=OWN,
            fontsize=8,
        )
