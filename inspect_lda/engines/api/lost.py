"""How much of the amplified distribution a rollout could not draw, and when to refuse.

A support that is too small gives another distribution than the one asked for. By how
much is bounded from below at every step, and known exactly where the whole vocabulary
was looked at. A rollout of which more is lost than allowed is an error, not a result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from inspect_lda.decoding.amplify import amplify
from inspect_lda.engines.api.audit import Audit, alphas_below
from inspect_lda.engines.api.columns import columns_of, rest_bias
from inspect_lda.engines.api.support import Support
from inspect_lda.engines.base import EngineError, Request


@dataclass
class Steps:
    """What was seen at the steps of one rollout.

    Attributes:
        vocabulary: Size of the vocabulary.
        supports: One a step.
        audits: Of the steps that were looked at in full.
    """

    vocabulary: int
    supports: list[Support] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)


def refuse_if_lost(
    request: Request, steps: Steps, bounds: Sequence[float], limit: float
) -> None:
    """End a rollout whose support was too small for its alpha.

    Args:
        request: What was asked.
        steps: What was seen.
        bounds: The lower bound of the lost mass at every step.
        limit: Most mean lost mass that is accepted.

    Raises:
        EngineError: If more was lost; names the largest alpha that loses less.
    """
    if not bounds:
        return
    bound = _mean(bounds)
    seen = _mean([audit.lost for audit in steps.audits])
    if max(bound, seen) <= limit:
        return
    how = f"at least {bound:.1%} (a lower bound, mean of {len(bounds)} steps)"
    if seen >= bound:
        how = f"{seen:.1%} (mean of {len(steps.audits)} audited steps)"
    raise EngineError(
        f"a support of {request.support} ids is too small for "
        f"alpha={request.alpha:g} here: {how} of the amplified distribution lies "
        f"outside, and -M max_lost_mass={limit:g} allows {limit:.1%}. "
        f"On these steps {_way_out(request, steps, limit)} -M support="
    )


def _way_out(request: Request, steps: Steps, limit: float) -> str:
    grid = alphas_below(request.alpha)
    for index, alpha in reversed(list(enumerate(grid))):
        bound = _mean([_bound(request, steps, alpha, s) for s in steps.supports])
        seen = _mean([audit.grid[index] for audit in steps.audits])
        if max(bound, seen) <= limit:
            return f"alpha={alpha:g} loses less than that; or take a larger"
    return "no smaller alpha loses less than that: take a larger"


@torch.inference_mode()
def _bound(request: Request, steps: Steps, alpha: float, support: Support) -> float:
    """Lower bound of the lost mass at another alpha, penalties left out."""
    if support.whole:
        return 0.0
    temperature = request.sampling.temperature or 1.0
    columns = columns_of(support, alpha, temperature, steps.vocabulary)
    logits = amplify(columns.after, columns.before, alpha)
    logits[0, -1] += rest_bias(support, alpha, steps.vocabulary)
    return float(torch.softmax(logits / temperature, dim=-1)[0, -1])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
