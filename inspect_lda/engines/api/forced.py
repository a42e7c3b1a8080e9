"""Teacher forcing: the probability of a continuation, every alpha from one pass.

All its prefixes are known, so one request reads them all.
"""

import torch
from torch import Tensor

from inspect_lda.decoding.amplify import amplify
from inspect_lda.decoding.known import Logits
from inspect_lda.decoding.nets import NetRows, Netted
from inspect_lda.engines.api.stepping import CPU
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
    steps = enumerate(zip(supports, request.continuation, strict=True))
    rows = [_values(request, step, *known) for step, known in steps]
    *log_q, after, before = zip(*rows, strict=True)
    return Scored(log_q=tuple(log_q), log_p_after=after, log_p_before=before)


@torch.inference_mode()
def _values(
    request: ScoreRequest, step: int, support: Support, token: int
) -> list[float]:
    """Log-probability of a step's token at every alpha, then under both checkpoints."""
    alphas = (*request.alphas, 0.0, -1.0)
    if token not in support.ids:
        return [-torch.inf] * len(alphas)
    column = support.ids.index(token)
    after, before = torch.tensor([support.after, support.before]).unsqueeze(1)
    found = []
    for alpha in alphas:
        amplified = amplify(after, before, alpha)
        scaled = (each / request.temperature for each in (after, before, amplified))
        logits = _held_back(Logits(*scaled), request, alpha, step)[0]
        # A checkpoint that finds the whole support impossible says none of it.
        nothing = bool(logits.isneginf().all())
        log_q = -torch.inf if nothing else float(logits.log_softmax(-1)[column])
        found.append(log_q)
    return found


def _held_back(
    logits: Logits, request: ScoreRequest, alpha: float, step: int
) -> Tensor:
    """What the request's nets leave of amplified logits `[1, n]`."""
    nets = NetRows.of([Netted(0, request.nets, alpha, step)], CPU)
    if nets is None:
        return logits.amplified
    nets.shrink(logits, torch.tensor([[request.temperature]]), None)
    floor = nets.limit(logits, None).floor
    if floor is not None:
        floor.restrict(logits.amplified)
    return logits.amplified
