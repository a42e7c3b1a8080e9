"""The combination: `after + alpha * (after - before)`, in float32.

Aranguri & McGrath, "Discovering Undesired Rare Behaviors via Model Diff
Amplification" (Goodfire, 2025). Other conventions in the field (t = 1 + alpha, a
weight multiplier) are translated before they reach this file.
"""

import torch
from torch import Tensor


def amplify(
    after: Tensor,
    before: Tensor,
    alpha: Tensor | float,
    *,
    allowed: Tensor | None = None,
    shared: Tensor | None = None,
) -> Tensor:
    """Combine the logits of two checkpoints.

    alpha = 0 returns `after` and alpha = -1 returns `before`, bit for bit: both are
    branches, never arithmetic. The result is -inf where `after` is -inf. Where only
    `before` is -inf, and for ids that only `after` knows, the difference counts as 0
    in log-probability space for alpha > 0, and the result is -inf for alpha < 0
    where `before` is -inf. Nothing becomes NaN or +inf from finite or -inf input.

    Args:
        after: Logits `[batch, ..., V]` of the checkpoint after training.
        before: Logits `[batch, ..., V_before]`; cut or extended to V.
        alpha: Amplification, a number or one value a row `[batch]`.
        allowed: `[V]` bool; ids outside become -inf (unknown to the tokenizer).
        shared: `[V]` bool; ids that both tokenizers know as the same token.

    Returns:
        Amplified logits `[batch, ..., V]`, float32, not normalised.
    """
    a = known_logits(after, allowed)
    b = known_logits(before, shared, width=a.shape[-1])
    rows = _per_row(alpha, a)
    if shared is None:
        # lerp returns its ends bit for bit at weights 1 and 0, and -inf where it needs
        # care leaves NaN or +inf in its row.
        amplified = torch.lerp(b, a, 1 + rows)
        usable = torch.isfinite(amplified.amax(-1, keepdim=True))
        if bool(usable.all()):
            return amplified
        # Row by row: the two paths round differently, and a row may not depend on
        # what its neighbours hold.
        return torch.where(usable, amplified, _with_infinities(a, b, rows, shared))
    return _with_infinities(a, b, rows, shared)


def known_logits(
    logits: Tensor, known: Tensor | None, width: int | None = None
) -> Tensor:
    """Logits of one checkpoint alone, float32, of the joint width.

    Args:
        logits: `[..., V]` of any dtype.
        known: `[width]` bool; ids outside become -inf.
        width: Width of the result, by default that of `known` or of `logits`.
    """
    if width is None:
        width = logits.shape[-1] if known is None else known.shape[0]
    missing = width - logits.shape[-1]
    fitted = logits[..., :width].float()
    if missing > 0:
        fitted = torch.nn.functional.pad(fitted, (0, missing), value=-torch.inf)
    return fitted if known is None else fitted.masked_fill(~known, -torch.inf)


def _with_infinities(
    a: Tensor, b: Tensor, rows: Tensor, shared: Tensor | None
) -> Tensor:
    strangers = b.isneginf() & ~a.isneginf()
    # Raw logits carry an arbitrary offset a row, which alpha would multiply for the
    # amplified ids and not for the strangers: only log-probabilities compare.
    met = strangers.any(-1, keepdim=True)
    log_a = torch.where(met, a - a.logsumexp(-1, keepdim=True), a)
    log_b = torch.where(met, b - b.logsumexp(-1, keepdim=True), b)
    untouched = strangers | a.isneginf()
    amplified = log_a + rows * torch.where(untouched, 0.0, log_a - log_b)
    lost = strangers if shared is None else strangers & shared
    amplified = torch.where(lost & (rows < 0), -torch.inf, amplified)
    return torch.where(rows == 0, a, torch.where(rows == -1, b, amplified))


def _per_row(alpha: Tensor | float, like: Tensor) -> Tensor:
    rows = torch.as_tensor(alpha, dtype=torch.float32, device=like.device)
    return rows.reshape(-1, *[1] * (like.ndim - 1)) if rows.ndim else rows
