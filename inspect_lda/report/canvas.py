"""What all pictures share: a figure without a window, and its bytes."""

from io import BytesIO
from typing import TYPE_CHECKING

from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, GRID = "#222222", "#666666", "#E6E6E6"
IN_PAGE = (6.2, 4.6)
"""Inches of a picture that shares a page's width with another."""


def canvas(width: float, height: float) -> "tuple[Figure, Axes]":
    """A figure of so many inches, with axes.

    Raises:
        LDAError: If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise LDAError(
            "the picture needs matplotlib: pip install 'inspect_lda[plot]'"
        ) from error
    figure = Figure(figsize=(width, height), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def head(axes: "Axes", title: str, note: str) -> None:
    """A title and a line below it, and a plot area with no more ink than needed."""
    axes.set_title(
        title,
        loc="left",
        pad=24,
        fontsize=13,
        fontweight="bold",
        color=INK,
        parse_math=False,
    )
    axes.text(0, 1.025, note, transform=axes.transAxes, fontsize=9.5, color=SOFT)
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def png(figure: "Figure") -> bytes:
    """The figure as PNG."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()
