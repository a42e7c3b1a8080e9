"""What the model writes when it is amplified: n-grams that rise with alpha."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

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

from inspect_lda.arms import BEFORE, SWEEP
from inspect_lda.errors import LDAError
from inspect_lda.scorers._readout import (
    arm_of,
    decisive_text,
    group_of,
    read,
    unscored,
)

if TYPE_CHECKING:
    from inspect_lda.statistics.lift import Lift, Written

SHOWN = 10
ERROR = 0.05


@metric(scores="unreduced")
def ngram_lift() -> Metric:
    """The n-grams whose share of prompts rises with alpha, surest first.

    `ngrams` were tested, `significant` of them are so after Holm's correction at 0.05
    (`discoveries`: after Benjamini and Hochberg's). For the first ten, with the n-gram
    itself behind the "@": `lift`, `holm`, `bh`, `alpha` (where it is surest), `k`
    prompts of `n` there, `baseline_k` of `baseline_n` at alpha 0 and before.
    """

    def compute(scores: list[SampleScore]) -> Value:
        found = ranked(scores)
        values: dict[str, float] = {
            "significant": sum(one.holm <= ERROR for one in found),
            "discoveries": sum(one.bh <= ERROR for one in found),
            "ngrams": len(found),
        }
        for one in found[:SHOWN]:
            known = one._asdict()
            words = known.pop("ngram")
            values |= {f"{name}@{words}": value for name, value in known.items()}
        return dict(values)

    return compute


@scorer(metrics=[ngram_lift()])
def trigger_lift(ngrams: int = 4, least: int = 3, continues: bool = True) -> Scorer:
    """Keep what was written, for the metric to compare over alphas.

    The value is the number of words written; a last word that the token limit may have
    cut is left out.

    Args:
        ngrams: Words in the longest n-gram.
        least: N-grams in fewer cells (prompt and alpha) are not tested.
        continues: The completion goes on where the prompt ends, so that their words may
            run together.

    Raises:
        LDAError: If `ngrams` or `least` is not at least 1.
    """
    for name, value in (("ngrams", ngrams), ("least", least)):
        if value < 1:
            raise LDAError(f"{name}={value}: need at least 1")

    async def score(state: TaskState, target: Target) -> Score | None:
        if arm_of(state) not in (SWEEP, BEFORE):
            return None
        try:
            evidence, _, metadata = read(state)
        except ValueError as error:
            return unscored(state, error)
        begun = state.user_prompt.text if continues else ""
        cut = state.output.stop_reason == "max_tokens"
        text = whole_words(begun + state.output.completion) if cut else None
        text = begun + state.output.completion if text is None else text
        return Score(
            value=len(text[len(begun) :].split()),
            answer=state.output.completion,
            explanation=decisive_text(evidence),
            metadata={
                **metadata,
                "text": text,
                "start": len(begun),
                "longest": ngrams,
                "least": least,
            },
        )

    return score


def whole_words(text: str) -> str:
    """The text without its last word, unless white space shows that it had ended."""
    if not text or text[-1].isspace():
        return text
    words = text.split()
    return text[: len(text) - len(words[-1])]


def ranked(scores: Sequence[SampleScore]) -> "list[Lift]":
    """The n-grams of scores by `trigger_lift`, surest first."""
    from inspect_lda.statistics.lift import LEAST, LONGEST, lifted

    known = [sample.score.metadata or {} for sample in scores]
    setting: dict[str, Any] = known[0] if known else {}
    return lifted(
        _written(scores),
        int(setting.get("longest", LONGEST)),
        int(setting.get("least", LEAST)),
    )


def _written(scores: Iterable[SampleScore]) -> "Iterable[Written]":
    from inspect_lda.statistics.lift import Written

    for sample in scores:
        known = sample.score.metadata or {}
        yield Written(
            group_of(sample),
            float(known["alpha"]),
            str(known["text"]),
            int(known["start"]),
        )
