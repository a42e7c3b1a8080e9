"""The wire between a client and a pair that draws its tokens: both ends of it.

vLLM's sampler cannot say what both checkpoints thought of a token. So the pair draws it
itself, with the code of the transformers engine, and writes what is recorded into the
row of logits (`record`). Neither torch nor vLLM is imported here. A client sends

    temperature=0                           and no other sampling setting
    logprobs=len(columns(draw))             for tokens that are drawn
    prompt_logprobs=len(columns(draw))      for given ones, at the end of the prompt
    vllm_xargs=draw.extra_args(alpha)

and hands each token, with its log-probabilities by id, to `read_step`. Given ones may
also be drawn, one a step, behind a prompt without them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from inspect_lda.engines.base import (
    EngineError,
    Request,
    Scored,
    ScoreRequest,
    TokenCurves,
)
from inspect_lda.engines.vllm import record
from inspect_lda.engines.vllm.alpha import DRAW_KEY as DRAW_KEY
from inspect_lda.engines.vllm.answer import Drawn as Drawn
from inspect_lda.engines.vllm.answer import impossible, pack, size, unpack
from inspect_lda.engines.vllm.asked import Draw as Draw
from inspect_lda.engines.vllm.asked import Given as Given
from inspect_lda.errors import LDAError
from inspect_lda.net_options import NetOptions

WRONG_START, WRONG_ID, DRAFTS = 1, 2, 3
REASONS = {
    WRONG_START: "its start is not the length of the prompt",
    WRONG_ID: "it names a token id that the tokenizer of 'after' does not have",
    DRAFTS: "the server speculates (--speculative-config), which was never tried "
    "together; start it without",
}
"""Why a pair did not draw though it was asked to."""


def draw_of(request: Request) -> Draw:
    """What to ask for a rollout.

    Raises:
        LDAError: If the pair cannot honour it, or a row cannot hold the answer.
    """
    return _made(
        start=len(request.prompt),
        sampling=request.sampling,
        support=request.support,
        nets=NetOptions.model_validate(request.nets.settings()),
        placebo=request.placebo,
        top=request.top_logprobs or 0,
        also=request.others,
    )


def draw_of_score(request: ScoreRequest) -> Draw:
    """What to ask for given tokens.

    Raises:
        LDAError: If a row cannot hold the answer.
    """
    return _made(
        start=len(request.prompt),
        support=request.support,
        nets=NetOptions.model_validate(request.nets.settings()),
        given=Given(
            ids=request.continuation,
            alphas=request.alphas,
            temperature=request.temperature,
            replay=request.sampling,
            curves=request.curves,
        ),
    )


def scored_of(draw: Draw, drawn: Sequence[Drawn]) -> Scored:
    """The answer to a `ScoreRequest`, of what the pair said of its tokens."""
    log_q = tuple(zip(*(one.log_q for one in drawn), strict=True))
    after, before = zip(*(one.ends for one in drawn), strict=True)
    given = draw.given
    return Scored(
        log_q=log_q,
        log_p_after=after,
        log_p_before=before,
        steps=tuple(one.values for one in drawn if one.values),
        curves=_curves(drawn) if given is not None and given.curves else None,
    )


def request_draw(extra_args: Mapping[str, Any] | None) -> Draw | None:
    """Read what a request asks; None if the pair is not asked to draw.

    Raises:
        ValueError: If it is not valid. vLLM answers with HTTP 400 and this text.
    """
    asked = (extra_args or {}).get(DRAW_KEY)
    if asked is None:
        return None
    if not isinstance(asked, str):
        raise ValueError(f"{DRAW_KEY}={asked!r}: JSON text belongs here")
    try:
        draw = Draw.model_validate_json(asked, strict=True)
    except ValidationError as error:
        raise ValueError(f"{DRAW_KEY}: {_short(error)}") from None
    columns(draw)
    return draw


def columns(draw: Draw) -> list[int]:
    """The ids that carry what is said of a token.

    Raises:
        LDAError: If they are more than vLLM returns.
    """
    found = record.columns(size(draw))
    if len(found) > record.MOST_COLUMNS:
        raise LDAError(
            f"the answer takes {len(found)} columns of a row, and vLLM returns "
            f"{record.MOST_COLUMNS}: ask for fewer top_logprobs, other alphas (also) "
            "or curves in one request"
        )
    return found


def read_step(draw: Draw, token: int, logprobs: Mapping[int, float]) -> Drawn:
    """What the pair says of a token.

    Args:
        draw: What was asked.
        token: The returned token, or the given one.
        logprobs: Log-probability by id; others than the columns may be among them.

    Raises:
        EngineError: If the pair refused, or this is no answer of a pair that draws.
    """
    try:
        answer = record.read(size(draw), token, logprobs)
    except ValueError as error:
        raise EngineError(
            f"the server did not answer '{DRAW_KEY}' ({error}): is it a pair that is "
            "served by this version of inspect_lda?"
        ) from None
    drawn, reason = unpack(draw, token, answer)
    if reason:
        raise EngineError(
            f"the server refused '{DRAW_KEY}': {REASONS.get(reason, reason)}"
        )
    return drawn


def write_step(draw: Draw, drawn: Drawn) -> dict[int, float]:
    """The logits that say so, by id; the token's own is 0, all others are -inf."""
    return record.write(pack(draw, drawn, 0), drawn.token)


def write_refusal(draw: Draw, token: int, reason: int) -> dict[int, float]:
    """The logits that refuse; `reason` is one of `REASONS`."""
    return record.write(pack(draw, impossible(draw, token), reason), token)


def _made(**asked: Any) -> Draw:
    try:
        draw = Draw(**asked)
    except ValidationError as error:
        raise LDAError(_short(error)) from None
    columns(draw)
    return draw


def _short(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or DRAW_KEY
    reason = first["msg"].removeprefix("Value error, ")
    return f"{where}={first['input']!r}: {reason}"


def _curves(drawn: Sequence[Drawn]) -> TokenCurves:
    # By token, alpha and value; asked for by value, alpha and token.
    by_alpha = zip(*(one.curves for one in drawn), strict=True)
    parts = [tuple(zip(*tokens, strict=True)) for tokens in by_alpha]
    kl, surprise, implausible = zip(*parts, strict=True)
    return TokenCurves(kl, surprise, implausible)
