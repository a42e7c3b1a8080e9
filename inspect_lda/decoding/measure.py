"""Evidence of one decoding step: what both checkpoints thought of the drawn token.

`log q` is taken under the distribution the token was drawn from, after temperature
and truncation. `log p_after` and `log p_before` are taken under the same sampling
settings at alpha = 0 and alpha = -1, which is the reference whose rate is asked:
`log w = log p_after - log q` is then an unbiased importance weight.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from inspect_lda.evidence import IMPLAUSIBLE


class StepEvidence(NamedTuple):
    """One value a row, `[batch]` each; natural logarithms.

    `only_after` counts the ids that are possible under `after` and impossible under
    `before`.
    """

    log_q: Tensor
    log_p_after: Tensor
    log_p_before: Tensor
    entropy_after: Tensor
    kl: Tensor
    implausible: Tensor
    only_after: Tensor


def measure(
    token: Tensor,
    log_q: Tensor,
    reference_after: Tensor,
    reference_before: Tensor,
    log_after: Tensor,
    log_before: Tensor,
) -> StepEvidence:
    """Measure one step.

    Args:
        token: `[batch]` drawn ids.
        log_q: `[batch, V]` log-probabilities drawn from.
        reference_after: `[batch, V]`, `after` under the row's sampling settings.
        reference_before: `[batch, V]`, the same of `before`.
        log_after: `[batch, V]`, `after` at the temperature, not truncated.
        log_before: `[batch, V]`, the same of `before`.
    """
    column = token.unsqueeze(-1)

    def taken(values: Tensor) -> Tensor:
        return values.gather(-1, column).squeeze(-1)

    p_after = log_after.exp()
    difference = log_after - log_before
    kl = torch.linalg.vecdot(p_after, difference)
    entropy = -torch.linalg.vecdot(p_after, log_after)
    only_after = torch.zeros_like(token)
    if not bool((kl + entropy).isfinite().all()):
        kl, entropy, only_after = _with_infinities(p_after, log_after, log_before)
    return StepEvidence(
        log_q=taken(log_q),
        log_p_after=taken(reference_after),
        log_p_before=taken(reference_before),
        entropy_after=entropy,
        kl=kl,
        implausible=taken(p_after) < IMPLAUSIBLE * p_after.amax(-1),
        only_after=only_after,
    )


def _with_infinities(
    p_after: Tensor, log_after: Tensor, log_before: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    possible = ~log_after.isneginf()
    # Ids that `before` lacks are left out of the KL: an added end-of-turn token says
    # that the vocabulary changed, and would make every KL infinite.
    both = possible & ~log_before.isneginf()
    kl = (p_after * torch.where(both, log_after - log_before, 0.0)).sum(-1)
    entropy = -(p_after * torch.where(possible, log_after, 0.0)).sum(-1)
    return kl, entropy, (possible & ~both).sum(-1)
