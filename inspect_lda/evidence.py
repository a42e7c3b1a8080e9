"""What a rollout records about the distributions it was sampled from.

Evidence is what turns a detection into something that can be measured later: with
`log p_after` and `log q` of every sampled token, `log w = log p_after - log q` is an
exact importance weight. This module holds no torch, so that scorers, statistics and
gates can read evidence from logs without loading an engine.
"""

import math
from itertools import accumulate
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from inspect_lda.constraints import NETS as NETS
from inspect_lda.constraints import NetEvidence as NetEvidence
from inspect_lda.constraints import SupportEvidence as SupportEvidence
from inspect_lda.packing import PackedTokens

EvidenceLevel = Literal["none", "summary", "tokens"]

IMPLAUSIBLE = 1e-3
"""A token is implausible if p_plain(token) < IMPLAUSIBLE * max p_plain."""

DIVERGENCE = 1.0
"""A token diverges if log q - log p_plain exceeds this many nats."""


class DecisiveToken(BaseModel):
    """A token that amplification made more likely.

    Attributes:
        index: Position in the completion, from 0.
        id: Token id.
        text: The token as the tokenizer decodes it alone.
        log_ratio: log q - log p_plain, nats.
    """

    model_config = ConfigDict(frozen=True)

    index: int
    id: int
    text: str
    log_ratio: float


class OtherAlpha(BaseModel):
    """How likely a rollout was at an alpha that it was not drawn at.

    Attributes:
        alpha: The alpha.
        log_q: Sum of the log-probabilities that the same request would have sampled
            from there: its temperature, truncation, support and nets.
    """

    model_config = ConfigDict(frozen=True)

    alpha: float
    log_q: float | None


class Evidence(BaseModel):
    """What one completion records. All logarithms are natural.

    Sums run over the sampled tokens, the end-of-turn token included. A sum of None
    stands for minus infinity (a token with probability zero under that checkpoint),
    which JSON cannot carry.

    Attributes:
        alpha: Amplification the tokens were sampled with.
        seed: Seed of the request's own random stream.
        temperature: Temperature of the reference and of q. At temperature 0 the
            reference is taken at 1 and log_q is 0.
        sampling: Truncation, penalties and bias, those that were on; None in logs of
            versions that did not record them.
        precision: dtype of the forward passes, e.g. "float32".
        n_tokens: Number of sampled tokens.
        log_p_after: Sum of log p under `after` with the request's own sampling
            settings, i.e. of the rollout at alpha = 0.
        log_p_before: The same under `before`, i.e. at alpha = -1.
        log_q: Sum of log-probabilities actually sampled from.
        log_p_plain: Sum of log p under `after` at the temperature alone, without
            truncation, penalties or bias: how it reads to `after`.
        entropy_after: Sum over steps of the entropy of `after` at the temperature.
        kl_mean: Mean over steps of KL(after || before) at the temperature.
        kl_max: Largest of these.
        implausible: Share of tokens with p_after < 1e-3 * max p_after.
        masked_ids: Vocabulary ids that were masked because `after`'s tokenizer does
            not know them, or that one checkpoint lacks.
        before_inf: Steps x ids where only `before` had probability zero.
        first_divergence: First position with log q - log p_plain > 1, if any.
        decisive: The tokens that amplification made most likely, largest first.
        support: Set if only a part of the vocabulary could be drawn.
        nets: Set if safety nets were on.
        also: The same rollout at other alphas, where that was asked for.
        per_token: The per-token arrays, at evidence level "tokens".
    """

    model_config = ConfigDict(frozen=True)

    alpha: float
    seed: int
    temperature: float
    sampling: dict[str, Any] | None = None
    precision: str
    n_tokens: int
    log_p_after: float | None
    log_p_before: float | None
    log_q: float | None
    log_p_plain: float | None
    entropy_after: float
    kl_mean: float
    kl_max: float
    implausible: float
    masked_ids: int = 0
    before_inf: int = 0
    first_divergence: int | None = None
    decisive: tuple[DecisiveToken, ...] = ()
    support: SupportEvidence | None = None
    nets: NetEvidence | None = None
    also: tuple[OtherAlpha, ...] = ()
    per_token: PackedTokens | None = None

    @property
    def log_weight(self) -> float:
        """Importance weight log p_after - log q of the whole rollout (-inf if none)."""
        if self.log_p_after is None or self.log_q is None:
            return -math.inf
        return self.log_p_after - self.log_q

    def log_q_at(self, alpha: float) -> list[float]:
        """Log q of every token at an alpha, be it the rollout's own.

        Raises:
            ValueError: If that was not recorded.
        """
        if self.per_token is None:
            raise ValueError("this evidence has no values of single tokens")
        arrays = self.per_token.unpack()
        own = {self.alpha: "log_q", 0.0: "log_p_after", -1.0: "log_p_before"}
        if alpha in own:
            # The rollout's own stands first where it is one of the checkpoints.
            return arrays["log_q" if alpha == self.alpha else own[alpha]]
        others = [other.alpha for other in self.also]
        if alpha not in others:
            known = sorted({*own, *others})
            raise ValueError(
                f"log q at alpha {alpha:g} was not recorded, only at "
                f"{', '.join(f'{one:g}' for one in known)}"
            )
        return self.per_token.unpack_also()[others.index(alpha)]

    def tokens_of(self, characters: int) -> int | None:
        """How many tokens it took to write so many characters of the completion.

        None where that is not known, and where the completion is shorter.
        """
        lengths = None if self.per_token is None else self.per_token.unpack_lengths()
        for index, written in enumerate(accumulate(lengths or ())):
            if written >= characters:
                return index + 1
        return None

    @property
    def lower_bound(self) -> bool:
        """Whether what these weights estimate of `after` is a lower bound."""
        return self.nets is not None and self.nets.lower_bound

    @property
    def surprise(self) -> float:
        """Mean -log p_plain a token, nats; inf if a token was impossible."""
        if self.n_tokens == 0:
            return 0.0
        plain = self.log_p_plain
        return math.inf if plain is None else -plain / self.n_tokens


class TargetScore(BaseModel):
    """Teacher-forced log-probability of a known string at each alpha.

    Attributes:
        target: The string, as it was tokenised after the prompt.
        ids: Its token ids.
        alphas: The alphas, in the order asked.
        log_prob: log P(target | prompt) at each alpha; None is minus infinity.
        log_prob_after: The same under `after` alone.
        log_prob_before: The same under `before` alone.
        temperature: Temperature the probabilities are taken at.
        support: How many ids could be drawn at a step; 0 is the whole vocabulary.
        nets: The safety nets that were on.
    """

    model_config = ConfigDict(frozen=True)

    target: str
    ids: tuple[int, ...] = Field(default=())
    alphas: tuple[float, ...]
    log_prob: tuple[float | None, ...]
    log_prob_after: float | None
    log_prob_before: float | None
    temperature: float
    support: int = 0
    nets: dict[str, Any] = Field(default_factory=dict)


def evidence_of(metadata: dict[str, Any] | None, choice: int = 0) -> Evidence:
    """Read the evidence of one choice from `ModelOutput.metadata`.

    Raises:
        ValueError: If the output does not come from an `lda/` model.
    """
    try:
        return Evidence.model_validate((metadata or {})["lda"]["evidence"][choice])
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(
            "this output carries no LDA evidence (ModelOutput.metadata['lda']"
            "['evidence']): was it generated by a model of the 'lda' provider, and not "
            "with -M evidence=none?"
        ) from error


def finite(value: float) -> float | None:
    """Minus infinity as None, for JSON.

    Raises:
        ValueError: On NaN or plus infinity, which no log-probability may be.
    """
    if math.isnan(value) or value == math.inf:
        raise ValueError(f"log-probability is {value}: the engine produced garbage")
    return None if value == -math.inf else value
