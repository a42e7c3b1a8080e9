"""Pictures inside a page: their colours are the page's, by day and by night.

A picture is drawn once, with the colours of `PALETTE`; in the page each of them is a
CSS variable, which `page.css` sets for light and for dark. Text stays text: it can be
searched, and is set in the reader's own font.
"""

import re
from io import StringIO
from typing import TYPE_CHECKING

from inspect_lda.report.canvas import GRID, INK, SOFT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = {
    "#000000": "ink",
    INK: "ink",
    SOFT: "soft",
    GRID: "line",
    "#0072B2": "blue",
    "#56B4E9": "sky",
    "#D55E00": "vermilion",
    "#009E73": "green",
    "#6E6E6E": "grey",
    "#CC79A7": "pink",
    "#E69F00": "orange",
    "#B8A800": "olive",
}
"""What figures draw with, and the variable of the page that it becomes."""
_HEAD = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
# Its rules would hold for the whole page; page.css has them for pictures alone.
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_SIZE = re.compile(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"')
_NAMES = re.compile(r'(?<=\bid=")|(?<=url\(#)|(?<=xlink:href="#)')


def svg(figure: "Figure", name: str, says: str) -> str:
    """A figure as an element of a page, as wide as there is room.

    Args:
        figure: Drawn with the colours of `PALETTE`; any other colour stays as it is.
        name: Unique in the page: a letter, then letters, digits and hyphens.
        says: What it shows, for who cannot see it; escaped by the caller.
    """
    import matplotlib

    buffer = StringIO()
    # A salt of its own: ids that repeat in a page would point into another picture.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    for pattern in (_HEAD, _METADATA, _STYLE):
        text = pattern.sub("", text, count=1)
    text = _NAMES.sub(f"{name}-", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: inherit", text)
    text = re.sub(r"font: ([\d.a-z ]+px)[^;\"]*", r"font: \1 var(--sans)", text)
    for colour, variable in PALETTE.items():
        text = re.sub(rf"{colour}\b", f"var(--{variable})", text, flags=re.IGNORECASE)
    return _SIZE.sub(rf'\1 role="img" aria-label="{says}"', text, count=1)
