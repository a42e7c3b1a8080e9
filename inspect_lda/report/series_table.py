"""A series of checkpoints in a terminal."""

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from inspect_lda.report.series import SIGNIFICANT, Series, Track
from inspect_lda.report.wording import CAVEAT, percent


def print_series(series: Series, console: Console | None = None) -> None:
    """Print rates by checkpoint and alpha, and where each alpha sees the onset."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("checkpoint")
    for track in series.tracks:
        table.add_column(track.name, justify="right")
    for index, name in enumerate(series.names):
        cells = [_cell(track, index) for track in series.tracks]
        table.add_row(Text(name), *cells)
    before = series.baseline
    parts: list[RenderableType] = [
        Text(f"{series.summaries[0].pattern}: rate by checkpoint", style="bold"),
        Text(f"before training: {before.k}/{before.n} = {percent(before.rate)}"),
        table,
        *(Text(line) for line in onset_lines(series)),
        *(Text(line) for line in trend_lines(series)),
        Text(
            f"* above the model before training: Fisher's exact test, Holm over the "
            f"{len(series.names)} checkpoints of an alpha, p <= {SIGNIFICANT:g}.",
            style="dim",
        ),
        Text(CAVEAT, style="italic"),
    ]
    (console or Console()).print(Group(*parts))


def onset_lines(series: Series) -> list[str]:
    """`onset at alpha 10: 5`, one line an alpha."""
    lines = []
    for track in series.tracks:
        where = track.onset
        seen = "none of these" if where is None else series.names[where]
        at = track.name if track.alpha is None else f"at {track.name}"
        lines.append(f"onset {at}: {seen}")
    return lines


def trend_lines(series: Series) -> list[str]:
    """`trend at alpha 0: z = 3.1, p = 0.001`, one line an alpha."""
    return [
        f"trend over training, {track.name}: z = {track.trend.z:.1f}, "
        f"p = {track.trend.p:.2g} (Cochran-Armitage)"
        for track in series.tracks
        if track.trend is not None
    ]


def _cell(track: Track, index: int) -> Text:
    row, look = track.rows[index], track.looks[index]
    above = look.adjusted <= SIGNIFICANT
    text = f"{row.k}/{row.n} {percent(row.rate)}{'*' if above else ' '}"
    if track.alpha is None:
        text = f"{row.alpha:g}: {text}"
    return Text(text, style="bold" if above else "")
