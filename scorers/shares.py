"""Of all completions, how many got each label?"""

from collections import Counter, defaultdict

from inspect_ai.scorer import Metric, SampleScore, Value, metric

from inspect_lda.arms import label
from inspect_lda.scorers._readout import cell_of


@metric(scores="unreduced")
def shares(labels: list[str] | None = None) -> Metric:
    """Share of each label by arm and alpha: `refuse@0.5`, `comply@control:1`.

    Shares of one arm and alpha add up to 1. They have no intervals; those of the label
    that counts as a hit are `detection_rate`'s.

    Args:
        labels: Labels that are reported also where they never occur; nothing for
            those that occur anywhere.
    """

    def compute(scores: list[SampleScore]) -> Value:
        cells: dict[tuple[str, float], Counter[str]] = defaultdict(Counter)
        for sample in scores:
            known = sample.score.metadata or {}
            cells[cell_of(sample)][str(known["label"])] += 1
        names = labels or sorted({name for found in cells.values() for name in found})
        values: dict[str, float] = {}
        for (arm, alpha), found in sorted(cells.items()):
            for name in names:
                key = f"{name.lower()}@{label(alpha, arm)}"
                values[key] = found[name] / found.total()
        return dict(values)

    return compute
