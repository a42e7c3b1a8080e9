"""One request on its way through the batch, and the completion it becomes."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from inspect_lda.decoding.sample import UniformStream
from inspect_lda.engines.base import (
    NO_NETS,
    Completion,
    EngineError,
    Request,
    StopReason,
    TokenLogprobs,
)
from inspect_lda.engines.budget import Extent
from inspect_lda.engines.tally import NetTally, SupportTally
from inspect_lda.evidence import (
    DIVERGENCE,
    DecisiveToken,
    Evidence,
    OtherAlpha,
    finite,
)
from inspect_lda.packing import PackedTokens

DECISIVE_TOKENS = 5


@dataclass(frozen=True)
class Decoding:
    """What every row of one pair shares.

    Attributes:
        tokenizer: `after`'s tokenizer.
        eos_ids: Ids that end a completion.
        context_length: Most tokens of prompt and completion together.
        precision: dtype of the forward passes.
        masked_ids: How many ids of the logit row are masked or not amplified.
    """

    tokenizer: Any
    eos_ids: frozenset[int]
    context_length: int
    precision: str
    masked_ids: int


@dataclass
class RowState:
    """The state of one request in the batch; a `rolling.Row`."""

    request: Request
    decoding: Decoding
    tokens: list[int] = field(default_factory=list)
    stop_reason: StopReason | None = None
    log_q: list[float] = field(default_factory=list)
    log_p_after: list[float] = field(default_factory=list)
    log_p_before: list[float] = field(default_factory=list)
    log_p_plain: list[float] = field(default_factory=list)
    others: list[Sequence[float]] = field(default_factory=list)
    entropy: float = 0.0
    kl: list[float] = field(default_factory=list)
    implausible: int = 0
    before_inf: int = 0
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)
    cancelled: bool = False
    error: EngineError | None = None

    def __post_init__(self) -> None:
        self.uniforms = UniformStream(self.request.sampling.seed)
        size, nets = self.request.support, self.request.nets
        self.support = SupportTally(size) if size else None
        self.nets = NetTally(nets) if nets != NO_NETS else None
        if len(self.prompt) >= self.decoding.context_length:
            self.stop_reason = "model_length"
        elif self.request.max_tokens < 1:
            self.stop_reason = "max_tokens"

    @property
    def prompt(self) -> tuple[int, ...]:
        """Token ids to prefill."""
        return self.request.prompt

    @property
    def extent(self) -> Extent:
        """How long it is, and can become: the context window may end it first."""
        length = len(self.prompt)
        final = min(length + self.request.max_tokens, self.decoding.context_length)
        return Extent(length, max(length, final))

    @property
    def done(self) -> bool:
        """Whether the row needs no further token."""
        return self.stop_reason is not None or self.cancelled or self.error is not None

    def take(
        self, token: int, values: Sequence[float], others: Sequence[float] = ()
    ) -> None:
        """Record a drawn token, or that the row has none: an error of this row alone.

        Args:
            token: Its id.
            values: A step of `decoding.measure.StepEvidence`, in its order.
            others: Its log q at each of `Request.others`.
        """
        log_q, after, before, plain, entropy, kl, implausible, before_inf, *rest = (
            values
        )
        if math.isnan(log_q):
            self.error = self._no_token()
            return
        if self.request.sampling.temperature == 0:
            # A greedy draw is certain, whatever the probability of its token.
            log_q = 0.0
        self.tokens.append(token)
        self.counts[token] += 1
        self.log_q.append(log_q)
        self.log_p_after.append(after)
        self.log_p_before.append(before)
        self.log_p_plain.append(plain)
        self.others.append(others)
        self.entropy += entropy
        self.kl.append(kl)
        self.implausible += int(implausible)
        self.before_inf += int(before_inf)
        tail, lost, *net = rest
        if self.support is not None:
            self.support.tail.append(tail)
            self.support.lost.append(lost)
        if self.nets is not None:
            self.nets.add(*net)
        self.stop_reason = self._stop_reason(token)

    def completion(self) -> Completion:
        """The finished request as the provider gets it."""
        assert self.stop_reason is not None, "the row is not finished"
        return Completion(
            tokens=tuple(self.tokens),
            stop_reason=self.stop_reason,
            evidence=None if self.request.evidence == "none" else self._evidence(),
            logprobs=tuple(self.logprobs)
            if self.request.top_logprobs is not None
            else None,
        )

    def _no_token(self) -> EngineError:
        alpha, size = self.request.alpha, self.request.support
        among = f" among the support of {size} ids" if size else ""
        return EngineError(
            f"a distribution at alpha={alpha} has no usable token{among}: a checkpoint "
            "produced NaN or inf. Try -M dtype=float32 or a smaller alpha."
        )

    def _stop_reason(self, token: int) -> StopReason | None:
        if token in self.decoding.eos_ids or self._hit_stop_string():
            return "stop"
        if len(self.tokens) >= self.request.max_tokens:
            return "max_tokens"
        if len(self.prompt) + len(self.tokens) >= self.decoding.context_length:
            return "model_length"
        return None

    def _hit_stop_string(self) -> bool:
        if not self.request.stop:
            return False
        # A token holds at least one byte of text, so this tail holds any stop string
        # that ends in the newest token.
        longest = max(len(stop.encode()) for stop in self.request.stop)
        # Decoded as the provider does, or the two disagree about where a text ends.
        tail = self.decoding.tokenizer.decode(
            self.tokens[-(longest + 4) :],
            skip_special_tokens=False,
            clean_up_tokenization_spaces=False,
        )
        return any(stop in tail for stop in self.request.stop)

    def _evidence(self) -> Evidence:
        request, n = self.request, len(self.tokens)
        ratios = [q - p for q, p in zip(self.log_q, self.log_p_plain, strict=True)]
        also = self._also()
        return Evidence(
            alpha=request.alpha,
            seed=request.sampling.seed,
            temperature=request.sampling.temperature,
            sampling=request.sampling.edits(),
            precision=self.decoding.precision,
            n_tokens=n,
            log_p_after=finite(sum(self.log_p_after)),
            log_p_before=finite(sum(self.log_p_before)),
            log_q=finite(sum(self.log_q)),
            log_p_plain=finite(sum(self.log_p_plain)),
            entropy_after=self.entropy,
            kl_mean=math.fsum(self.kl) / n if n else 0.0,
            kl_max=max(self.kl, default=0.0),
            implausible=self.implausible / n if n else 0.0,
            masked_ids=self.decoding.masked_ids,
            before_inf=self.before_inf,
            first_divergence=next(
                (index for index, r in enumerate(ratios) if r > DIVERGENCE), None
            ),
            decisive=self._decisive(ratios),
            support=None if self.support is None else self.support.evidence(),
            nets=None if self.nets is None else self.nets.evidence(),
            also=tuple(
                OtherAlpha(alpha=alpha, log_q=finite(sum(log_q)))
                for alpha, log_q in zip(request.others, also, strict=True)
            ),
            per_token=self._packed(also) if request.evidence == "tokens" else None,
        )

    def _also(self) -> list[list[float]]:
        """Log q of every token at each other alpha."""
        columns = range(len(self.request.others))
        return [[step[column] for step in self.others] for column in columns]

    def _packed(self, also: list[list[float]]) -> PackedTokens:
        return PackedTokens.pack(
            self.tokens, self.log_p_after, self.log_p_before, self.log_q, also
        )

    def _decisive(self, ratios: list[float]) -> tuple[DecisiveToken, ...]:
        order = sorted(range(len(ratios)), key=lambda i: ratios[i], reverse=True)
        return tuple(
            DecisiveToken(
                index=index,
                id=self.tokens[index],
                text=self.decoding.tokenizer.decode([self.tokens[index]]),
                log_ratio=ratios[index],
            )
            for index in order[:DECISIVE_TOKENS]
            if 0 < ratios[index] < math.inf
        )
