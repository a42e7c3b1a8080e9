"""Is the completion still language? Read off the evidence, without a judge."""

from inspect_ai.scorer import Score, Scorer, Target, scorer
from inspect_ai.solver import TaskState

from inspect_lda.scorers._readout import is_rollout, read, unscored
from inspect_lda.scorers.metrics import coherent_share
from inspect_lda.statistics.coherence import ABSOLUTE


@scorer(metrics=[coherent_share()])
def likelihood_coherence() -> Scorer:
    """Score 1 if the completion is coherent under the plain `after` model, else 0.

    A scorer sees one sample, so this value is by the fixed limits `ABSOLUTE`, good
    enough for a column in `inspect view`. The metric sees all samples and counts by
    limits from the alpha = 0 arm of the same run (`statistics.coherence`), as do the
    coherent-gated rates of `phrase` and every report. Hence the mean of the column
    and `coherent@…` may differ a little.
    """

    async def score(state: TaskState, target: Target) -> Score | None:
        if not is_rollout(state):
            return None
        try:
            _, reading, metadata = read(state)
        except ValueError as error:
            return unscored(state, error)
        return Score(
            value=int(ABSOLUTE.admit(reading)),
            explanation=(
                f"surprise {reading.surprise:.2f} (at most {ABSOLUTE.surprise:g} nats "
                f"a token), implausible tokens {reading.implausible:.0%} (at most "
                f"{ABSOLUTE.implausible:.0%}), repetition {reading.repetition:.0%} (at "
                f"most {ABSOLUTE.repetition:.0%}), {reading.n_tokens} tokens (at least "
                f"{ABSOLUTE.n_tokens}). Metrics use the limits of this run's alpha = 0 "
                "arm instead."
            ),
            metadata=metadata,
        )

    return score
