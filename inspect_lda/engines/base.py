"""The seam between the provider and any engine: ids in, ids and evidence out.

Nothing here imports torch. An engine only has to run a causal LM; chat templates,
tools and Inspect's types stay in the provider, checkpoints stay in `pair`.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal, Protocol

from inspect_lda.decoding.settings import NO_NETS as NO_NETS
from inspect_lda.decoding.settings import Nets as Nets
from inspect_lda.decoding.settings import Sampling as Sampling
from inspect_lda.evidence import Evidence, EvidenceLevel

StopReason = Literal["stop", "max_tokens", "model_length"]


@dataclass(frozen=True)
class Request:
    """One completion to sample.

    Attributes:
        prompt: Token ids, the same for both checkpoints.
        alpha: Amplification; 0 is `after`, -1 is `before`.
        sampling: Per-request sampling settings.
        max_tokens: Upper bound on sampled tokens.
        stop: Strings that end the completion (kept in `Completion.tokens`; the
            provider trims the text).
        top_logprobs: Return log-probabilities of each sampled token and of this many
            alternatives; None returns none.
        evidence: "tokens", "summary" or "none". A request that wants none and has
            alpha 0 runs `after` alone: nothing is asked of `before`.
        placebo: Give what amplification adds to other tokens (`decoding.placebo`).
        support: Draw from this many of the ids most likely under `after` alone; 0 is
            the whole vocabulary.
        nets: What holds amplification back.
        also: Other alphas whose `log q` of every drawn token is recorded, as the same
            request would record it there. Without evidence nothing is recorded.
    """

    prompt: tuple[int, ...]
    alpha: float
    sampling: Sampling
    max_tokens: int
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    evidence: EvidenceLevel = "tokens"
    placebo: bool = False
    support: int = 0
    nets: Nets = NO_NETS
    also: tuple[float, ...] = ()

    @cached_property
    def others(self) -> tuple[float, ...]:
        """Those alphas of `also` that the evidence does not have anyway, ascending."""
        if self.evidence == "none":
            return ()
        return tuple(sorted({*self.also} - {self.alpha, 0.0, -1.0}))


@dataclass(frozen=True)
class TokenLogprobs:
    """Log-probabilities at one step.

    Attributes:
        token: The sampled id.
        logprob: Its log-probability under the distribution sampled from (log q).
        top: (id, log q, log p_after, log p_before), most likely first.
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float, float, float], ...]


@dataclass(frozen=True)
class Cost:
    """What a completion took of the endpoints behind it, retries included.

    Attributes:
        requests: HTTP requests that were answered.
        retries: Requests that failed and were sent again.
        input_tokens: Prompt tokens the endpoints read, both checkpoints.
        output_tokens: Tokens the endpoints generated, both checkpoints.
        drafted: Tokens that were drafted, and could be refused.
        accepted: Drafted tokens that were kept.
    """

    requests: int = 0
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    drafted: int = 0
    accepted: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        """Both together."""
        names = [field.name for field in fields(self)]
        return Cost(**{n: getattr(self, n) + getattr(other, n) for n in names})


@dataclass(frozen=True)
class Completion:
    """What came of a request.

    Attributes:
        tokens: Sampled ids, the end-of-turn token included if one was sampled.
        stop_reason: "stop" (end of turn or stop string), "max_tokens" or
            "model_length" (the context window is full).
        evidence: What the rollout records; None if none was asked for.
        logprobs: One entry a token, if asked for.
        cost: What endpoints were asked; None for an engine without any.
    """

    tokens: tuple[int, ...]
    stop_reason: StopReason
    evidence: Evidence | None
    logprobs: tuple[TokenLogprobs, ...] | None = None
    cost: Cost | None = None


@dataclass(frozen=True)
class ScoreRequest:
    """A continuation whose probability is asked (teacher forcing), no sampling.

    Attributes:
        prompt: Token ids.
        continuation: Token ids that follow; at least one.
        alphas: Every alpha to evaluate; all come from one pass.
        temperature: Temperature of the distributions, > 0.
        support: Draw from this many of the ids most likely under `after` alone; 0 is
            the whole vocabulary. A token outside has probability 0.
        nets: What holds amplification back.
        sampling: Also measure every token as a rollout under these settings records it.
        curves: Alphas, each at least 0, at which whole distributions are compared.
    """

    prompt: tuple[int, ...]
    continuation: tuple[int, ...]
    alphas: tuple[float, ...]
    temperature: float = 1.0
    support: int = 0
    nets: Nets = NO_NETS
    sampling: Sampling | None = None
    curves: tuple[float, ...] = ()


@dataclass(frozen=True)
class TokenCurves:
    """How the amplified distribution differs from `after` where a token is predicted.

    One tuple an alpha, one value a continuation token; see `decoding.curves.Curves`.
    """

    kl: tuple[tuple[float, ...], ...]
    surprise: tuple[tuple[float, ...], ...]
    implausible: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Scored:
    """Per-token log-probabilities of a continuation.

    Attributes:
        log_q: One tuple an alpha, one value a continuation token.
        log_p_after: One value a token (alpha = 0).
        log_p_before: One value a token (alpha = -1).
        cost: What endpoints were asked; None for an engine without any.
        steps: A `decoding.measure.StepEvidence` a token, whose `log_q` is that of alpha
            0; empty unless sampling settings were given.
        curves: The distributions compared, if asked for and if the engine can.
    """

    log_q: tuple[tuple[float, ...], ...]
    log_p_after: tuple[float, ...]
    log_p_before: tuple[float, ...]
    cost: Cost | None = None
    steps: tuple[tuple[float, ...], ...] = ()
    curves: TokenCurves | None = None


class Engine(Protocol):
    """Runs one checkpoint pair. Methods are called from an event loop."""

    async def generate(self, request: Request) -> Completion:
        """Sample one completion; concurrent calls are batched by the engine."""
        ...

    async def score(self, request: ScoreRequest) -> Scored:
        """Teacher-force a continuation at every alpha."""
        ...

    def close(self) -> None:
        """Stop threads and drop references to the weights."""
        ...


class EngineError(RuntimeError):
    """The engine could not finish a request; never turned into a value."""
