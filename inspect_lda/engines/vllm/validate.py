"""Whether a request is one that a pair can honour; no vLLM here."""

from typing import Any

from inspect_lda.engines.vllm.alpha import request_alpha
from inspect_lda.engines.vllm.describe import answer_describe
from inspect_lda.engines.vllm.draw import DRAW_KEY, Draw, columns, request_draw

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "temperature": (0,),
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "min_tokens": (0,),
    "logit_bias": (None, {}),
    "allowed_token_ids": (None, []),
    "bad_words": (None, []),
    "structured_outputs": (None,),
    "thinking_token_budget": (None,),
    "trace_decode_token_ids": (None, []),
}
"""Settings that would change which token of a finished row is taken."""


def check_request(params: Any) -> None:
    """Refuse what a pair cannot do.

    Args:
        params: vLLM's `SamplingParams`.

    Raises:
        ValueError: Saying what is allowed; vLLM answers with HTTP 400 and this text.
    """
    answer_describe(params.extra_args)
    request_alpha(params.extra_args, 0.0)
    draw = request_draw(params.extra_args)
    if draw is None:
        return
    for name, neutral in _NEUTRAL.items():
        value = getattr(params, name, neutral[0])
        if value not in neutral:
            raise ValueError(
                f"{name}={value!r} beside {DRAW_KEY}: the pair draws the token itself, "
                f"as {DRAW_KEY} says, and {name} must be {neutral[0]!r}"
            )
    _check_columns(params, draw)


def _check_columns(params: Any, draw: Draw) -> None:
    asked = params.logprobs if draw.given is None else _most(params)
    needed = len(columns(draw))
    if asked != -1 and (asked or 0) < needed:
        name = "logprobs" if draw.given is None else "prompt_logprobs or logprobs"
        raise ValueError(
            f"{name}={asked} beside {DRAW_KEY}: what the pair says of a token takes "
            f"{needed}"
        )


def _most(params: Any) -> int:
    asked = [params.prompt_logprobs or 0, params.logprobs or 0]
    return -1 if -1 in asked else max(asked)
