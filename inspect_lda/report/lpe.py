"""The ranking of a path: which prompts come first, and by what order of magnitude."""

import math

from inspect_ai.log import EvalLog
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from inspect_lda.report.experiment import Experiment, experiment_of
from inspect_lda.report.ngrams import is_of
from inspect_lda.statistics.drawn import cut
from inspect_lda.statistics.measured import Magnitude
from inspect_lda.statistics.paths import counts, magnitude
from inspect_lda.statistics.ranking import ranked

RANK = "path_rank"
SHOWN = 20
CAVEAT = (
    "Extrapolated along alpha: an order of magnitude to rank prompts by, never a rate. "
    "The trend may turn where nothing was counted. Spend plain rollouts on the first."
)


def print_if_lpe(log: EvalLog, console: Console | None = None) -> None:
    """Print the ranking if the log is one of the task `lpe`."""
    if is_of(log, RANK):
        (console or Console()).print(ranking(experiment_of([log])))


def ranking(experiment: Experiment) -> RenderableType:
    """The prompts in order, with their counts at every alpha."""
    found = cut(experiment.rollouts)
    hits, drawn = counts(found)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("prompt")
    for alpha in found.alphas:
        table.add_column(f"alpha {alpha:g}", justify="right")
    table.add_column("at alpha 0, by order of magnitude", justify="right")
    order = ranked(found)
    for place, (prompt, size) in enumerate(order[:SHOWN], start=1):
        row = found.prompts.index(prompt)
        cells = [f"{k:.0f}/{n:.0f}" for k, n in zip(hits[row], drawn[row], strict=True)]
        table.add_row(f"{place}", Text(prompt), *cells, Text(band(size)))
    parts: list[RenderableType] = [Text(overall(magnitude(found, "rates")))]
    parts += [table, Text(CAVEAT, style="italic")]
    if len(order) > SHOWN:
        parts.insert(2, Text(f"{len(order) - SHOWN:,} prompts behind these.", "dim"))
    return Group(*parts)


def overall(size: Magnitude | None) -> str:
    """All prompts together, in a sentence."""
    if size is None:
        return "Hits at fewer than two alphas: no path to extrapolate, only an order."
    return f"Over all prompts, at alpha 0: {band(size)}, by order of magnitude."


def band(size: Magnitude) -> str:
    """`1e-06 to 1e-02`: what 19 of 20 simulated cases lay within."""
    spread = math.log10(size.factor)
    low, high = size.log10 - spread, min(size.log10 + spread, 0.0)
    return f"{10**low:.0e} to {10**high:.0e}"
