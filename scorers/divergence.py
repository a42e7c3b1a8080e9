"""Where in the text, and by how much, did amplification change what was said?"""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

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

from inspect_lda.arms import SWEEP, label
from inspect_lda.evidence import DecisiveToken, Evidence
from inspect_lda.scorers._readout import group_of, is_rollout, read, unscored


@metric(scores="unreduced")
def amplification_kl() -> Metric:
    """How far the sampled distribution is from plain `after`, by arm and alpha.

    `kl@0.5` is the mean of `divergence` over completions, in nats. Over completions
    that were sampled from q, the mean of log q - log p is an unbiased estimate of
    KL(q || p) per completion; `kl_stderr@0.5` is its standard error, by prompt.
    `kl_token@0.5` is the same a token. `diverged@0.5` is the share of completions with
    a token that amplification made at least e times likelier, `first_divergence@0.5`
    the median position of the first such token, from 0.
    """

    def compute(scores: list[SampleScore]) -> Value:
        cells: dict[tuple[str, float], list[SampleScore]] = defaultdict(list)
        for sample in scores:
            known = sample.score.metadata or {}
            cell = str(known.get("arm", SWEEP)), float(known["alpha"])
            cells[cell].append(sample)
        values: dict[str, float] = {}
        for (arm, alpha), found in sorted(cells.items()):
            suffix = label(alpha, arm)
            values |= {f"{key}@{suffix}": v for key, v in _summary(found).items()}
        return dict(values)

    return compute


@scorer(metrics=[amplification_kl()])
def divergence() -> Scorer:
    """Score the nats by which amplification made the completion likelier.

    The value is the sum over tokens of log q - log p, q being the distribution that
    was sampled from and p plain `after` at the same temperature, without truncation.
    It is 0 at alpha 0 (but for top-p and the like, which also change the
    distribution). A value of 7 says that `after` alone writes this very text e^7, about
    1,100, times more rarely than the amplified model. At temperature 0 nothing is
    drawn, and the value is -log p at temperature 1.

    The explanation shows the text with the decisive tokens in brackets. Evidence
    holds where they stand among the tokens, not among the letters: one that occurs
    several times is marked where its place in the completion suggests. Score.metadata
    has `trained` (nats by which training made the text likelier, log p_after - log
    p_before) and, at evidence level "tokens", `log_ratio` (log q - log p_after of
    every token). Read from the evidence alone: `inspect score` needs no weights.
    """

    async def score(state: TaskState, target: Target) -> Score | None:
        if not is_rollout(state):
            return None
        try:
            evidence, _, metadata = read(state)
            nats = amplified(evidence)
            per_token = _log_ratios(evidence)
        except ValueError as error:
            return unscored(state, error)
        first = evidence.first_divergence
        where = "no token" if first is None else f"first at token {first}"
        return Score(
            value=nats,
            explanation=(
                f"{nats:.1f} nats over {evidence.n_tokens} tokens, {where} likelier by "
                f"more than 1 nat: {marked(state.output.completion, evidence)}"
            ),
            metadata=metadata
            | {"trained": _trained(evidence)}
            | ({} if per_token is None else {"log_ratio": per_token}),
        )

    return score


def amplified(evidence: Evidence) -> float:
    """The log q - log p_plain of the whole completion, nats.

    Raises:
        ValueError: If the completion has probability zero under either, which happens
            only where float32 runs out.
    """
    if evidence.log_q is None or evidence.log_p_plain is None:
        raise ValueError(
            "the completion has probability 0 under plain `after` (or under what was "
            "sampled from): it is infinitely far away, and no number says how far"
        )
    return evidence.log_q - evidence.log_p_plain


def marked(text: str, evidence: Evidence) -> str:
    """The text with its decisive tokens in brackets: `I[ HATE +4.4] YOU`."""
    pieces: list[str] = []
    end = 0
    unplaced: list[str] = []
    tokens = [token for token in evidence.decisive if token.log_ratio > 0]
    for token in sorted(tokens, key=lambda token: token.index):
        start = _place(text, token, evidence.n_tokens, end)
        told = f"[{token.text} +{token.log_ratio:.1f}]"
        if start is None:  # an end of turn, or half a character
            unplaced.append(told)
            continue
        pieces += [text[end:start], told]
        end = start + len(token.text)
    rest = f" Not in the text: {', '.join(unplaced)}." if unplaced else ""
    return f"{''.join(pieces)}{text[end:]}{rest}"


def _place(text: str, token: DecisiveToken, n_tokens: int, since: int) -> int | None:
    """The occurrence after `since` that is nearest to the token's share of the text."""
    if not token.text:
        return None
    expected = len(text) * token.index / max(n_tokens, 1)
    places = []
    found = text.find(token.text, since)
    while found >= 0:
        places.append(found)
        found = text.find(token.text, found + 1)
    return min(places, key=lambda place: abs(place - expected), default=None)


def _log_ratios(evidence: Evidence) -> list[float | None] | None:
    """The log q - log p_after by token; None where `after` had cut the token off."""
    if evidence.per_token is None:
        return None
    arrays = evidence.per_token.unpack()
    pairs = zip(arrays["log_q"], arrays["log_p_after"], strict=True)
    ratios = [q - p for q, p in pairs]
    return [round(ratio, 3) if math.isfinite(ratio) else None for ratio in ratios]


def _trained(evidence: Evidence) -> float | None:
    if evidence.log_p_after is None or evidence.log_p_before is None:
        return None
    return evidence.log_p_after - evidence.log_p_before


def _summary(scores: Sequence[SampleScore]) -> dict[str, float]:
    facts: list[dict[str, Any]] = [sample.score.metadata or {} for sample in scores]
    nats = [sample.score.as_float() for sample in scores]
    tokens = sum(int(known["n_tokens"]) for known in facts)
    first = [known["first_divergence"] for known in facts]
    positions = [int(index) for index in first if index is not None]
    found = {
        "kl": fmean(nats),
        "kl_stderr": _clustered_error(scores),
        "kl_token": sum(nats) / tokens if tokens else math.nan,
        "diverged": len(positions) / len(scores),
        "first_divergence": median(positions) if positions else math.nan,
    }
    return {key: value for key, value in found.items() if not math.isnan(value)}


def _clustered_error(scores: Sequence[SampleScore]) -> float:
    """Standard error of the mean, prompts as clusters; NaN with fewer than two."""
    groups: dict[str, list[float]] = defaultdict(list)
    for sample in scores:
        groups[group_of(sample)].append(sample.score.as_float())
    if len(groups) < 2:
        return math.nan
    mean = fmean(value for values in groups.values() for value in values)
    spread = sum(
        sum(value - mean for value in values) ** 2 for values in groups.values()
    )
    return math.sqrt(spread * len(groups) / (len(groups) - 1)) / len(scores)
