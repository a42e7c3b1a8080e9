"""A score request in parts that fit into a row of logits, and their answers as one.

What a pair says of a token travels in at most 128 columns; a calibration compares
whole distributions at more alphas than that holds.
"""

from collections.abc import Sequence
from dataclasses import replace

from inspect_lda.engines.base import Scored, ScoreRequest, TokenCurves

ALPHAS = 40
"""Probabilities of a token that are asked together, beside one measured step."""
CURVES = 20
"""Distributions that are compared together: three numbers each. The columns stay below
97, the smallest vocabulary that tests have: vLLM ends where they are more than ids."""


def parts_of(request: ScoreRequest) -> list[ScoreRequest]:
    """Requests that ask for all of it; the first one also measures the tokens."""
    bare = replace(request, alphas=(), curves=(), sampling=None)
    parts = [replace(bare, alphas=part) for part in _cut(request.alphas, ALPHAS)]
    parts += [replace(bare, curves=part) for part in _cut(request.curves, CURVES)]
    first, *rest = parts or [bare]
    return [replace(first, sampling=request.sampling), *rest]


def joined(request: ScoreRequest, answers: Sequence[Scored]) -> Scored:
    """The answer to the whole request."""
    curves = [one.curves for one in answers if one.curves is not None]
    whole = None
    if request.curves:
        whole = TokenCurves(
            kl=sum((one.kl for one in curves), ()),
            surprise=sum((one.surprise for one in curves), ()),
            implausible=sum((one.implausible for one in curves), ()),
        )
    log_q: tuple[tuple[float, ...], ...] = sum((one.log_q for one in answers), ())
    return replace(answers[0], log_q=log_q, curves=whole)


def _cut(values: tuple[float, ...], size: int) -> list[tuple[float, ...]]:
    return [values[i : i + size] for i in range(0, len(values), size)]
