"""Teacher forcing: the probability of a continuation, every alpha from one pass.

All its prefixes are known, so one request reads them all.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from inspect_lda.decoding.amplify import amplify
from inspect_lda.engines.api.support import Support
from inspect_lda.engines.api.view import View
from inspect_lda.engines.base import Scored, ScoreRequest

WHOLE_AT_ONCE = 4
"""Prefixes in one request, where each answer lists the whole vocabulary: some MB."""
AT_ONCE = 64


async def score(view: View, request: ScoreRequest) -> Scored:
    """Score a continuation; a token outside the support has probability 0.

    Args:
        view: Reads supports of the size that the request names.
        request: What is asked.

    Raises:
        EngineError: If an endpoint fails.
    """
    supports: list[Support] = []
    prefixes = [
        (*request.prompt, *request.continuation[:i])
        for i in range(len(request.continuation))
    ]
    size = AT_ONCE if request.support else WHOLE_AT_ONCE
    for start in range(0, len(prefixes), size):
        sights = await view.look(prefixes[start : start + size])
        supports += [sight.support for sight in sights]
    rows = [
        _values(support, token, (*request.alphas, 0.0, -1.0), request.temperature)
        for support, token in zip(supports, request.continuation, strict=True)
    ]
    *log_q, after, before = zip(*rows, strict=True)
    return Scored(log_q=tuple(log_q), log_p_after=after, log_p_before=before)


@torch.inference_mode()
def _values(
    support: Support, token: int, alphas: Sequence[float], temperature: float
) -> list[float]:
    """Log-probability of a token at every alpha."""
    if token not in support.ids:
        return [-torch.inf] * len(alphas)
    column = support.ids.index(token)
    after, before = torch.tensor([support.after, support.before])
    return [_log_q(after, before, a, temperature, column) for a in alphas]


def _log_q(
    after: Tensor, before: Tensor, alpha: float, temperature: float, column: int
) -> float:
    logits = amplify(after[None], before[None], alpha)[0]
    if bool(logits.isneginf().all()):
        # A checkpoint that finds the whole support impossible says none of it.
        return -torch.inf
    return float(torch.log_softmax(logits / temperature, dim=-1)[column])
