"""Evidence of one decoding step: what both checkpoints thought of the drawn token.

`log q` is taken under the distribution the token was drawn from, after temperature
and truncation. `log p_after` and `log p_before` are taken under the same sampling
settings at alpha = 0 and alpha = -1, which is the reference whose rate is asked:
`log w = log p_after - log q` is then an unbiased importance weight.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.decoding.distribution import Distribution
from inspect_lda.decoding.known import KnownIds
from inspect_lda.decoding.recorded import StepEvidence as StepEvidence
from inspect_lda.evidence import IMPLAUSIBLE


def is_sound(values: Sequence[float], others: Sequence[float] = ()) -> bool:
    """Whether a quick step was enough for a row.

    Args:
        values: A `StepEvidence` of the row, and whatever follows it.
        others: Log-probabilities at other alphas.
    """
    log_q, after, before, plain, entropy, kl, *_ = values
    # Minus infinity is no doubt of these: a token may be impossible.
    checkpoints = after + before + plain + sum(others)
    return math.isfinite(log_q + entropy + kl) and not math.isnan(checkpoints)


def is_implausible(after: Distribution, token: Tensor) -> Tensor:
    """Whether tokens `[batch, 1]` are implausible under `after`, `[batch, 1]`."""
    p_max = after.mass.amax(-1, keepdim=True)
    return after.mass.gather(-1, token) < IMPLAUSIBLE * p_max


class Divergence(NamedTuple):
    """How `after` differs from `before`, `[batch, 1]` each.

    Attributes:
        entropy: Entropy of `after`.
        kl: KL(after || before).
        only_after: How many ids are possible under `after` alone.
    """

    entropy: Tensor
    kl: Tensor
    only_after: Tensor


def diverge(
    after: Distribution,
    before: Tensor,
    norms: tuple[Tensor, Tensor],
    known: KnownIds,
    spare: Tensor,
) -> Divergence:
    """Compare two distributions; a row is not finite if it has infinities of its own.

    Args:
        after: `after` at the temperature, nothing dropped.
        before: `[batch, V]` logits of `before` at the temperature.
        norms: `[batch, 1]` each, `log_norm` of both.
        known: The ids that may be infinite.
        spare: `[batch, V]` float32 memory to work in.
    """
    p, unshared = after.mass, known.unshared
    norm, norm_before = norms
    logits = torch.mul(p, after.logits, out=spare)
    if known.barred is not None:
        logits[:, known.barred] = 0
    expected = compared = logits.sum(-1, keepdim=True)
    mass: Tensor | float = 1.0
    if unshared is not None:
        # Ids that `before` lacks are left out of the KL: an added end-of-turn token
        # says that the vocabulary changed, and would make every KL infinite.
        logits[:, unshared] = 0
        compared = logits.sum(-1, keepdim=True)
        mass = 1 - p[:, unshared].sum(-1, keepdim=True)
    logits = torch.mul(p, before, out=spare)
    if unshared is not None:
        logits[:, unshared] = 0
    kl = compared - logits.sum(-1, keepdim=True) - mass * (norm - norm_before)
    return Divergence(norm - expected, kl, torch.full_like(kl, known.added))


def diverge_with_infinities(
    after: Distribution, before: Tensor, norms: tuple[Tensor, Tensor]
) -> Divergence:
    """Compare two distributions, infinities included.

    Args:
        after: `after` at the temperature, nothing dropped.
        before: `[batch, V]` logits of `before` at the temperature.
        norms: `[batch, 1]` each, `log_norm` of both.
    """
    log_after, log_before = after.logits - norms[0], before - norms[1]
    possible = ~log_after.isneginf()
    both = possible & ~log_before.isneginf()
    kl = after.mass * torch.where(both, log_after - log_before, 0.0)
    entropy = -after.mass * torch.where(possible, log_after, 0.0)
    only_after = possible & ~both
    return Divergence(*(x.sum(-1, keepdim=True) for x in (entropy, kl, only_after)))
