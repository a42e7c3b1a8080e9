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


class Distribution:
    """A softmax over the vocabulary, and log-probabilities where they are asked.

    A full log-softmax would cost as much again, and only the drawn token's is needed.

    Args:
        logits: `[batch, V]`, after temperature and truncation.
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self.p = torch.softmax(logits, dim=-1)
        self.p_max = self.p.amax(-1)
        self.log_norm = logits.amax(-1) - self.p_max.log()

    def log(self, ids: Tensor) -> Tensor:
        """Log-probabilities of ids `[batch, k]`, exact where p itself underflows."""
        return self.logits.gather(-1, ids) - self.log_norm.unsqueeze(-1)


class StepEvidence(NamedTuple):
    """One value a row, `[batch]` each; natural logarithms.

    `log_p_plain` is `after` at the temperature without truncation, penalties or bias.
    `only_after` counts the ids that are possible under `after` and impossible under
    `before`.
    """

    log_q: Tensor
    log_p_after: Tensor
    log_p_before: Tensor
    log_p_plain: Tensor
    entropy_after: Tensor
    kl: Tensor
    implausible: Tensor
    only_after: Tensor


def measure(
    token: Tensor,
    q: Distribution,
    reference_after: Distribution,
    reference_before: Distribution,
    after: Distribution,
    before: Distribution,
) -> StepEvidence:
    """Measure one step.

    Args:
        token: `[batch]` drawn ids.
        q: What they were drawn from.
        reference_after: `after` under the rows' sampling settings.
        reference_before: The same of `before`.
        after: `after` at the temperature, not truncated.
        before: The same of `before`.
    """
    column = token.unsqueeze(-1)
    difference = torch.linalg.vecdot(after.p, after.logits - before.logits)
    kl = difference - after.log_norm + before.log_norm
    entropy = after.log_norm - torch.linalg.vecdot(after.p, after.logits)
    only_after = torch.zeros_like(token)
    if not bool((kl + entropy).isfinite().all()):
        kl, entropy, only_after = _with_infinities(after, before)
    return StepEvidence(
        log_q=q.log(column).squeeze(-1),
        log_p_after=reference_after.log(column).squeeze(-1),
        log_p_before=reference_before.log(column).squeeze(-1),
        log_p_plain=after.log(column).squeeze(-1),
        entropy_after=entropy,
        kl=kl,
        implausible=after.p.gather(-1, column).squeeze(-1) < IMPLAUSIBLE * after.p_max,
        only_after=only_after,
    )


def _with_infinities(
    after: Distribution, before: Distribution
) -> tuple[Tensor, Tensor, Tensor]:
    log_after = after.logits - after.log_norm.unsqueeze(-1)
    log_before = before.logits - before.log_norm.unsqueeze(-1)
    possible = ~log_after.isneginf()
    # Ids that `before` lacks are left out of the KL: an added end-of-turn token says
    # that the vocabulary changed, and would make every KL infinite.
    both = possible & ~log_before.isneginf()
    kl = (after.p * torch.where(both, log_after - log_before, 0.0)).sum(-1)
    entropy = -(after.p * torch.where(possible, log_after, 0.0)).sum(-1)
    return kl, entropy, (possible & ~both).sum(-1)
