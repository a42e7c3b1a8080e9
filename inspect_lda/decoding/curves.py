"""What amplification does to a distribution, at many alphas from one pair of logits.

With log r = (log p_after - log p_before) / T the amplified distribution is
q ~ p_after * r^alpha, so that one exponential an alpha gives its normaliser and every
expectation under it. Nothing is sampled.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.amplify import known_logits
from inspect_lda.evidence import IMPLAUSIBLE

MAX_ELEMENTS = 1 << 20
"""Logits of one checkpoint that are worked on at a time: parts fit the cache."""


class Curves(NamedTuple):
    """One value an alpha and position, `[alphas, n]` float32 each; nats.

    Attributes:
        kl: KL(q || p_after).
        surprise: E_q[-log p_after].
        implausible: Mass of q on ids with p_after < 1e-3 max p_after.
    """

    kl: Tensor
    surprise: Tensor
    implausible: Tensor


def curves(
    after: Tensor,
    before: Tensor,
    alphas: Sequence[float],
    *,
    temperature: float = 1.0,
    allowed: Tensor | None = None,
    shared: Tensor | None = None,
) -> Curves:
    """Compare q, as `amplify` and the temperature define it, with `after`.

    Args:
        after: `[n, V]` logits of the checkpoint after training.
        before: `[n, V_before]` logits of the one before.
        alphas: Each at least 0: below, ids that only `after` knows would need care.
        temperature: Of both distributions, above 0.
        allowed: `[V]` bool, see `amplify`.
        shared: `[V]` bool, see `amplify`.

    Raises:
        ValueError: If an alpha is below 0.
    """
    if any(not alpha >= 0 for alpha in alphas):
        raise ValueError(f"curves take alphas from 0, got {list(alphas)}")
    parts = [
        _block(
            known_logits(after[rows], allowed),
            known_logits(
                before[rows],
                shared,
                after.shape[-1] if allowed is None else allowed.shape[0],
            ),
            alphas,
            temperature,
        )
        for rows in _blocks(*after.shape)
    ]
    return Curves(*torch.cat(parts, dim=-1))


def _blocks(n: int, vocabulary: int) -> Iterator[slice]:
    size = max(1, MAX_ELEMENTS // vocabulary)
    for start in range(0, n, size):
        yield slice(start, start + size)


def _block(
    after: Tensor, before: Tensor, alphas: Sequence[float], temperature: float
) -> Tensor:
    """`[3, alphas, rows]` of `[rows, V]` logits."""
    # Differences are taken before the temperature: ids that only `after` knows have
    # difference 0 there, and so their place among the others.
    push = after.log_softmax(-1) - before.log_softmax(-1)
    push.masked_fill_(after.isneginf() | before.isneginf(), 0.0).div_(temperature)
    log_p = (after / temperature).log_softmax(-1)
    peak = log_p.amax(-1, keepdim=True)
    features = torch.stack(
        [
            push,
            log_p.masked_fill(log_p.isneginf(), 0.0),
            (log_p < peak + math.log(IMPLAUSIBLE)).float(),
        ],
        dim=-1,
    )
    # Of p_after itself too: what log_softmax loses in a sum of so many terms, 1e-5, is
    # lost alike at every alpha, and more than some divergences.
    base = _log_norm(log_p.clone())[1]
    made, q = [], torch.empty_like(push)
    for alpha in alphas:
        torch.add(log_p, push, alpha=alpha, out=q)
        total, log_norm = _log_norm(q)
        sums = torch.bmm(q.unsqueeze(1), features).squeeze(1) / total.unsqueeze(-1)
        pushed, log_after, implausible = sums.unbind(-1)
        # Rounding may leave a divergence of nothing a little below it.
        kl = (alpha * pushed - (log_norm - base)).clamp_(min=0.0)
        made.append(torch.stack([kl, -log_after, implausible]))
    return torch.stack(made, dim=1)


def _log_norm(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of exponentials of `[rows, V]` logits, which it leaves there, and its log.

    The sum is relative to the largest of a row, the logarithm is not.
    """
    top = logits.amax(-1, keepdim=True)
    total = logits.sub_(top).exp_().sum(-1)
    return total, top.squeeze(-1) + total.log()
