"""Several tokens from two requests: `after` drafts, `before` is read at every prefix.

Every drafted token is kept or replaced so that the result is distributed exactly as if
each had been drawn by itself (`choosing`). The first one that is replaced ends the
round, since what was drafted behind it follows another prefix.
"""

import math

import torch
from torch import Tensor

from inspect_lda.engines.api.choosing import Coupled, overlap
from inspect_lda.engines.api.meter import current_meter
from inspect_lda.engines.api.rollout import Rollout
from inspect_lda.engines.api.support import Support
from inspect_lda.engines.base import EngineError
from inspect_lda.seeds import derive_seed

LONGEST = 32
WORTH = 0.4
"""The last token of a draft is kept with at least this probability."""
EXPECTED, TRUST = 0.85, 4.0
"""How likely a token is kept, before any was seen; it counts for so many tokens."""


class Pace:
    """How many tokens to draft, from how well drafts were kept so far.

    Args:
        fixed: The same number always; None adapts.
    """

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self._kept = EXPECTED * TRUST
        self._seen = TRUST

    def note(self, chance: float) -> None:
        """Learn how likely a draft was to be kept at one step."""
        self._kept += chance
        self._seen += 1

    @property
    def length(self) -> int:
        """Tokens of the next draft, at least 1."""
        if self._fixed is not None:
            return self._fixed
        rate = min(self._kept / self._seen, 1 - 1e-3)
        return max(1, min(LONGEST, 1 + int(math.log(WORTH) / math.log(rate))))


async def decode_drafted(rollout: Rollout, fixed: int | None) -> None:
    """Decode a rollout to its end.

    Args:
        rollout: Not begun.
        fixed: Tokens of every draft; None adapts their number.

    Raises:
        EngineError: If an endpoint fails, or drafts something it did not list.
    """
    row, pace = rollout.row, Pace(fixed)
    while not row.done:
        left = row.extent.final - len(rollout.prefix)
        ahead = min(pace.length, rollout.audit_in, left)
        if ahead > 1:
            await _round(rollout, pace, ahead)
        else:
            # A draft of one token takes two requests as a step does, but one after
            # the other.
            drawn, support = await rollout.step()
            pace.note(overlap(drawn.chances, _proposal(rollout, support)))


async def _round(rollout: Rollout, pace: Pace, ahead: int) -> None:
    """Draft, and keep what can be kept and the token in place of the first refused."""
    row, meter = rollout.row, current_meter()
    sampling, start = row.request.sampling, len(row.tokens)
    draft, sights = await rollout.view.draft(
        rollout.prefix,
        ahead,
        temperature=sampling.temperature,
        seed=derive_seed(sampling.seed, "draft", start),
    )
    if not draft.tokens:
        raise EngineError(
            "after's endpoint drafted nothing where tokens were asked. Leave drafting "
            "out: -M draft=0"
        )
    meter.drafted += len(draft.tokens)
    for token, sight in zip(draft.tokens, sights, strict=True):
        proposal = _proposal(rollout, sight.support, token)
        column = sight.support.ids.index(token) if token in sight.support.ids else None
        uniforms = row.uniforms.next(), row.uniforms.next()
        choose = Coupled(column, proposal, *uniforms)
        rollout.take(sight, choose)
        pace.note(overlap(choose.chances, proposal))
        meter.accepted += choose.accepted
        if row.done or not choose.accepted:
            return


def _proposal(rollout: Rollout, support: Support, token: int | None = None) -> Tensor:
    """The chances `after` drafts the ids of a support with, `[ids]` float64."""
    temperature = rollout.row.request.sampling.temperature
    after = torch.tensor(support.after, dtype=torch.float64)
    if temperature > 0:
        return torch.softmax(after / temperature, dim=-1)
    certain = torch.zeros_like(after)
    if token is None:
        certain[after.argmax()] = 1.0
    elif token in support.ids:
        certain[support.ids.index(token)] = 1.0
    return certain
