"""What all pictures share: a figure without a window, and its bytes."""

from io import BytesIO
from typing import TYPE_CHECKING

from inspect_lda.errors import LDAError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, GRID = "#222222", "#666666", "#E6E6E6"


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


def png(figure: "Figure") -> bytes:
    """The figure as PNG."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()
