"""The amplification of one request, as vLLM hands it through."""

from collections.abc import Mapping
from typing import Any

from inspect_lda.errors import nearest
from inspect_lda.values import MAX_ALPHA, amplification

KEY = "lda_alpha"
"""In `SamplingParams.extra_args`, and in `vllm_xargs` of an HTTP request."""

DRAW_KEY = "lda_draw"
"""Beside it: how the pair shall draw the tokens of the request (`draw`), as JSON."""

PREFIX = "lda"
"""Extra arguments that begin so are ours: an unknown one is a mistake."""


def request_alpha(extra_args: Mapping[str, Any] | None, default: float) -> float:
    """Read a request's alpha.

    Args:
        extra_args: Of its `SamplingParams`.
        default: For a request that names none.

    Raises:
        ValueError: If it is no finite number within reason, or misspelt. vLLM answers
            with HTTP 400 and this text.
    """
    if not extra_args:
        return default
    for name in extra_args:
        if name.lower().startswith(PREFIX) and name not in (KEY, DRAW_KEY):
            raise ValueError(f"{name!r} is unknown; {nearest(name, [KEY, DRAW_KEY])}")
    if KEY not in extra_args:
        return default
    value = extra_args[KEY]
    try:
        return amplification(value)
    except ValueError as error:
        raise ValueError(
            f"{KEY}={value!r}: {error}. Allowed: a number from -{MAX_ALPHA:g} to "
            f"{MAX_ALPHA:g} (0 is 'after', -1 is 'before'), e.g. "
            f'"vllm_xargs": {{"{KEY}": 0.5}}'
        ) from None
