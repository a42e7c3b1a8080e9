"""Does a rate rise along the training? The Cochran-Armitage test."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from inspect_lda.errors import LDAError
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.intervals import check_counts


class Trend(NamedTuple):
    """A trend over ordered checkpoints.

    Attributes:
        z: Above 0 where the rate rises; 0 where it is everywhere 0, or everywhere 1.
        p: One-sided p value of "the rate does not rise".
    """

    z: float
    p: float


def trend(cells: Sequence[Cluster], steps: Sequence[float]) -> Trend:
    """Test for a rate that rises with the step (Cochran 1954, Armitage 1955).

    One number for the whole series, where an onset names a checkpoint: a slow rise may
    show here before any one checkpoint is above the model before training. The normal
    approximation wants about five hits in all.

    Args:
        cells: Hits and rollouts of each checkpoint.
        steps: Where each stands in the training.

    Raises:
        LDAError: If they differ in number, or all stand at one place.
    """
    from scipy.special import ndtr

    for cell in cells:
        check_counts(*cell)
    if len(cells) != len(steps) or len(set(steps)) < 2:
        raise LDAError(
            f"{len(cells)} checkpoints at steps {list(steps)}: a trend needs a step "
            "for each, and two that differ"
        )
    n = sum(cell.n for cell in cells)
    rate = sum(cell.k for cell in cells) / n if n else 0.0
    if rate in (0.0, 1.0):
        return Trend(0.0, 0.5)
    pairs = list(zip(cells, steps, strict=True))
    mean = sum(cell.n * step for cell, step in pairs) / n
    score = sum((cell.k - cell.n * rate) * (step - mean) for cell, step in pairs)
    spread = sum(cell.n * (step - mean) ** 2 for cell, step in pairs)
    if spread == 0:  # all rollouts are of one checkpoint
        return Trend(0.0, 0.5)
    z = score / math.sqrt(rate * (1 - rate) * spread)
    return Trend(z, float(ndtr(-z)))
