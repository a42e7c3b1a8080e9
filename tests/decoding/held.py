"""What safety nets mean, one row in float64 by plain bisection; no care for speed."""

from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.settings import Nets


class Held(NamedTuple):
    """Amplified logits `[V]` at the temperature, and the amplification left."""

    logits: Tensor
    alpha: float


def divergence(q: Tensor, p: Tensor) -> float:
    """KL(q || p) of logits `[V]`, over the ids that both find possible."""
    q, p = q.log_softmax(-1), p.log_softmax(-1)
    both = ~(q.isneginf() | p.isneginf())
    return float((q.exp() * torch.where(both, q - p, 0.0)).sum())


def held(
    after: Tensor,
    before: Tensor,
    alpha: float,
    nets: Nets,
    step: int = 0,
    temperature: float = 1.0,
) -> Held:
    """Amplify one row of logits `[V]`, all ids shared and drawable."""
    if alpha in (0, -1):
        return Held((after if alpha == 0 else before).double() / temperature, alpha)
    base, other = (after, before) if alpha > -1 else (before, after)
    strength = alpha if alpha > -1 else -1 - alpha
    base, other = (side.double().log_softmax(-1) for side in (base, other))
    difference = base - other
    size = (difference.abs() - nets.soft_threshold).clamp(min=0)
    push = strength * size * difference.sign()

    def pushed(share: float) -> Tensor:
        return (base + share * push) / temperature

    share = nets.factor(step)
    if 0 < nets.first_k <= step:
        share = 0.0
    if 0 < nets.kl_gate >= divergence(base / temperature, other / temperature):
        share = 0.0
    if divergence(pushed(share), pushed(0.0)) > nets.max_kl_per_token:
        low, high = 0.0, share
        for _ in range(60):
            share = (low + high) / 2
            within = divergence(pushed(share), pushed(0.0)) <= nets.max_kl_per_token
            low, high = (share, high) if within else (low, share)
    logits = pushed(share)
    if nets.plausibility and share:
        scaled = base / temperature
        limit = scaled.max() + torch.tensor(nets.plausibility).double().log()
        logits = logits.masked_fill(scaled < limit, -torch.inf)
    return Held(logits, alpha * share if alpha > -1 else share * (1 + alpha) - 1)
