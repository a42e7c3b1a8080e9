"""The condition a rollout was made under, as columns of `inspect view`.

The viewer's sample list has columns for scores but not for sample metadata; this
"scorer" measures nothing and only makes alpha and arm visible, sortable and filterable.
"""

from inspect_ai.scorer import Score, Scorer, Target, scorer
from inspect_ai.solver import TaskState

from inspect_lda.arms import EXACT
from inspect_lda.scorers._readout import arm_of


@scorer(metrics=[])
def condition() -> Scorer:
    """Report the sample's alpha and arm; no metric is computed from them."""

    async def score(state: TaskState, target: Target) -> Score | None:
        if arm_of(state) == EXACT and state.epoch > 1:
            return None
        return Score(
            value={
                "alpha": state.metadata.get("alpha"),
                "arm": arm_of(state),
            }
        )

    return score
