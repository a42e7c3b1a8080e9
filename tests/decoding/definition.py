"""What truncation means, by a sort of everything; no care for speed."""

import torch
from torch import Tensor

from inspect_lda.decoding.settings import Sampling


def defined(logits: Tensor, rule: Sampling) -> set[int]:
    """The ids that top-k, top-p and min-p leave of one row `[V]`."""
    order = logits.argsort(descending=True, stable=True)
    ordered = logits[order].double()
    keep = torch.ones_like(ordered, dtype=torch.bool)
    if rule.top_k:
        keep = ordered >= ordered[min(rule.top_k, len(ordered)) - 1]
    if rule.top_p < 1:
        # Float32 knows the largest probability to 1e-7: enough to move a boundary.
        mass = (ordered - ordered[0]).exp() * logits.softmax(-1).max() * keep
        mass /= mass.sum() if rule.top_k else 1
        keep &= mass.cumsum(-1) - mass < rule.top_p * (1 - 2**-23)
        keep[0] = True
    if rule.min_p > 0:
        keep &= logits[order] >= logits.max() + torch.tensor(rule.min_p).log()
    return set(order[keep & ordered.isfinite()].tolist())
