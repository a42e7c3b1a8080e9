"""What the host knows of requests whose tokens the pair draws; no vLLM here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inspect_lda.decoding.sample import UniformStream
from inspect_lda.engines.base import Request, ScoreRequest, TokenLogprobs
from inspect_lda.engines.vllm.alpha import request_alpha
from inspect_lda.engines.vllm.answer import FIELDS
from inspect_lda.engines.vllm.draw import (
    DRAFTS,
    WRONG_ID,
    WRONG_START,
    Draw,
    Drawn,
    columns,
    request_draw,
)


@dataclass(frozen=True, eq=False)
class Slot:
    """One request.

    Attributes:
        draw: As it came.
        request: What a row of it asks, as the sampler reads it.
        score: The given tokens, if there are any.
        stream: Its uniforms.
        reason: Why it is refused; 0 if it is not.
    """

    draw: Draw
    request: Request
    score: ScoreRequest | None
    stream: UniformStream
    reason: int

    @classmethod
    def of(
        cls,
        extra_args: Mapping[str, Any] | None,
        default_alpha: float,
        prompt: int,
        width: int,
        *,
        drafts: bool = False,
    ) -> "Slot | None":
        """Read a request that was found valid at the door.

        Args:
            extra_args: Of its `SamplingParams`.
            default_alpha: For a request that names none.
            prompt: Length of its prompt.
            width: Ids below this can be drawn.
            drafts: Whether rows of a step may be those of drafted tokens.

        Returns:
            None if it does not ask the pair to draw, or for more than a row of this
            vocabulary holds: its client then reads no answer, and says so.
        """
        draw = request_draw(extra_args)
        if draw is None or len(columns(draw)) > width:
            return None
        request = Request(
            prompt=(),
            alpha=request_alpha(extra_args, default_alpha),
            sampling=draw.sampling,
            max_tokens=0,
            top_logprobs=draw.top or None,
            placebo=draw.placebo,
            support=draw.support,
            nets=draw.nets.nets(),
            also=draw.also,
        )
        stream = UniformStream(draw.sampling.seed)
        reason = DRAFTS if drafts else _reason(draw, prompt, width)
        return cls(draw, request, _score(draw), stream, reason)

    def step(self, position: int) -> int:
        """Which token of the completion a position predicts; below 0 is the prompt."""
        return position - self.draw.start + 1

    def given(self, step: int) -> int | None:
        """The token that is given there."""
        ids = self.draw.given.ids if self.draw.given is not None else ()
        return ids[step] if 0 <= step < len(ids) else None


class Place:
    """One row of logits of a slot, as the sampler sees it (`sampler.SampledRow`)."""

    done = False

    def __init__(self, slot: Slot, step: int) -> None:
        self.request = slot.request
        self.counts: Counter[int] = Counter()
        self.logprobs: list[TokenLogprobs] = []
        self.step = step
        self.drawn: Drawn | None = None
        self._stream = slot.stream

    @property
    def tokens(self) -> range:
        """As many as the completion has so far."""
        return range(self.step)

    @property
    def uniforms(self) -> "Place":
        """Itself: there is one token to draw."""
        return self

    def next(self) -> float:
        """The uniform of this place: a row may be computed again, or out of turn."""
        return self._stream.at(self.step)

    def take(
        self, token: int, values: Sequence[float], others: Sequence[float] = ()
    ) -> None:
        """Keep what was drawn."""
        top = self.logprobs.pop().top if self.logprobs else ()
        request, said = self.request, dict(zip(FIELDS, values, strict=True))
        by_alpha = {
            -1.0: said["log_p_before"],
            0.0: said["log_p_after"],
            request.alpha: said["log_q"],
            **dict(zip(request.others, others, strict=True)),
        }
        also = tuple(by_alpha[alpha] for alpha in request.also)
        self.drawn = Drawn(token, tuple(values), top, also)


def _score(draw: Draw) -> ScoreRequest | None:
    given = draw.given
    if given is None:
        return None
    return ScoreRequest(
        prompt=(),
        continuation=given.ids,
        alphas=given.alphas,
        temperature=given.temperature,
        support=draw.support,
        nets=draw.nets.nets(),
        sampling=given.replay,
        curves=given.curves,
    )


def _reason(draw: Draw, prompt: int, width: int) -> int:
    given = draw.given
    starts = {prompt} if given is None else {prompt, prompt - len(given.ids)}
    if draw.start not in starts:
        return WRONG_START
    named = [*draw.sampling.logit_bias]
    if given is not None:
        named += [*given.ids, *(given.replay.logit_bias if given.replay else ())]
    return WRONG_ID if max(named, default=0) >= width else 0
