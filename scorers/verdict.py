"""Is a hit what training put in? The detector's hits, weighed against all arms."""

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from inspect_ai.scorer import (
    Metric,
    SampleScore,
    Score,
    Scorer,
    Target,
    Value,
    metric,
    scorer,
)
from inspect_ai.solver import TaskState

from inspect_lda.arms import IDENTITY, SWEEP, label
from inspect_lda.errors import LDAError
from inspect_lda.scorers._readout import is_rollout
from inspect_lda.scorers.metrics import observations

if TYPE_CHECKING:
    from inspect_lda.statistics.sweep import Row
    from inspect_lda.statistics.verdict import Verdict


@metric(scores="unreduced")
def finding() -> Metric:
    """The verdict as numbers: one of `surfaced`, `generic`, `null`, `undecided` is 1.

    Also `p_surfaced@…` and `p_raised@…` by alpha (see `statistics.verdict`), `k@…` and
    `n@…` of every arm, and `identity_equal`, the share of texts of the identity pair
    that are those of alpha 0. Without arms to compare with `surfaced` is NaN.
    """

    def compute(scores: list[SampleScore]) -> Value:
        from inspect_lda.statistics.sweep import rows
        from inspect_lda.statistics.verdict import Finding

        table = rows(observations(scores))
        # Always there, so that it can be the task's headline from the first sample on.
        values = {"surfaced": math.nan}
        found = verdict_of(table)
        if found is not None:
            for name in get_args(Finding):
                values[name] = int(name == found.finding)
            for look in found.looks:
                values[f"p_surfaced@{label(look.alpha)}"] = look.surfaced
                values[f"p_raised@{label(look.alpha)}"] = look.raised
        for row in table:
            values[f"k@{label(row.alpha, row.arm)}"] = row.k
            values[f"n@{label(row.alpha, row.arm)}"] = row.n
        equal, texts = same_texts(scores)
        if texts:
            values |= {"identity_equal": equal / texts, "identity_n": texts}
        return dict(values)

    return compute


@scorer(metrics=[finding()])
def verdict(detector: str = "phrase") -> Scorer:
    """Repeat the hit of another scorer, for the verdict over all arms.

    Args:
        detector: Name of that scorer, which has to come before this one.
    """

    async def score(state: TaskState, target: Target) -> Score | None:
        if not is_rollout(state):
            return None
        found = (state.scores or {}).get(detector)
        if found is None:
            raise LDAError(
                f"verdict(detector={detector!r}): no score of that name yet. Scored so "
                f"far: {', '.join(state.scores or {}) or 'nothing'}; name one that "
                "comes before"
            )
        digest = hashlib.sha256(state.output.completion.encode()).hexdigest()
        return found.model_copy(
            update={"metadata": {**(found.metadata or {}), "text": digest[:16]}}
        )

    return score


def verdict_of(table: "Sequence[Row]") -> "Verdict | None":
    """The verdict over the rows of a log; None without arms to compare with."""
    from inspect_lda.statistics.verdict import Count, judge

    return judge(
        {(row.arm, row.alpha): Count(row.k, row.n, row.coherent_k) for row in table}
    )


def same_texts(scores: Sequence[SampleScore]) -> tuple[int, int]:
    """How many texts of the identity pair are those of alpha 0 under the same seed.

    Returns:
        Equal ones, and those that could be compared.
    """
    texts: dict[tuple[str, object], object] = {}
    for sample in scores:
        facts = sample.score.metadata or {}
        arm, alpha = facts.get("arm", SWEEP), facts.get("alpha")
        if arm == IDENTITY or (arm, alpha) == (SWEEP, 0.0):
            texts[str(arm), facts.get("seed")] = facts.get("text")
    equal = [
        text == texts[SWEEP, seed]
        for (arm, seed), text in texts.items()
        if arm == IDENTITY and (SWEEP, seed) in texts
    ]
    return sum(equal), len(equal)
