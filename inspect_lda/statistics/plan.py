"""What a next run should amplify, computed from the hits of this one.

Every hit carries its probability at each alpha and, token by token, with amplification
cut off after k tokens. How unequal its weight would have been under another proposal,
and how often it would have been drawn, follows.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspect_lda.statistics.drawn import Cut, Floats, Rollout
from inspect_lda.statistics.measured import Plan
from inspect_lda.statistics.validity import LEAST_HITS, LEAST_SHARE, SPREAD
from inspect_lda.statistics.weights import Weighed

PLAIN_SHARE = 0.1
"""Share of rollouts at alpha 0 in the run that is proposed."""

MARGIN = 2.0
"""Effective hits aimed at, over those needed: a run falls short by chance."""

FIRST = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144)


class _Proposal(NamedTuple):
    alpha: float
    first_k: int | None
    log_q: Floats


def plan(weighed: Weighed, cut: Cut, rollouts: Sequence[Rollout] = ()) -> Plan | None:
    """Find the cheapest run that would pass the validity rule.

    Args:
        weighed: The estimate of this run.
        cut: Its rollouts.
        rollouts: The same with their tokens: without them `first_k` is not looked at.

    Returns:
        The run; None without a hit, or if no alpha of this sweep would pass.
    """
    chosen = (weighed.contribution > 0) & (weighed.contribution < np.inf)
    if weighed.method == "hazard" or len(cut) != len(chosen) or not chosen.any():
        return None
    log_p, carried = cut.log_p[chosen], weighed.contribution[chosen]
    found = []
    for proposal in _proposals(cut, chosen, rollouts):
        mixed = np.logaddexp(
            math.log(PLAIN_SHARE) + log_p, math.log1p(-PLAIN_SHARE) + proposal.log_q
        )
        needed = _needed(carried, log_p - mixed, len(chosen))
        if needed is not None:
            found.append(Plan(proposal.alpha, proposal.first_k, needed))
    return min(found, key=lambda one: one.rollouts, default=None)


def _needed(carried: Floats, log_weight: Floats, rollouts: int) -> int | None:
    """Rollouts of a proposal, under which the hits would have had these weights."""
    weight = np.exp(log_weight)
    rate = float(carried.sum()) / rollouts
    square = float((carried * weight).sum()) / rollouts
    often = carried / weight  # how often each would be drawn, to a factor
    a_rollout = rate**2 / square
    centre = np.average(log_weight, weights=often)
    spread = math.sqrt(np.average((log_weight - centre) ** 2, weights=often))
    share = a_rollout / (float(often.sum()) / rollouts)
    if share < LEAST_SHARE or spread > SPREAD["mixture"]:
        return None
    return math.ceil(MARGIN * LEAST_HITS / a_rollout)


def _proposals(
    cut: Cut, chosen: NDArray[np.bool_], rollouts: Sequence[Rollout]
) -> Iterator[_Proposal]:
    for column, alpha in enumerate(cut.alphas):
        log_q = cut.log_at[chosen, column]
        if alpha <= 0 or np.isnan(log_q).any():
            continue
        yield _Proposal(alpha, cut.first_k, log_q)
        if cut.first_k is None and rollouts:
            hits = [one for one, hit in zip(rollouts, chosen, strict=True) if hit]
            yield from _shorter(alpha, hits)


def _shorter(alpha: float, hits: Sequence[Rollout]) -> Iterator[_Proposal]:
    """The same alpha on the first tokens only, where no hit is decided later."""
    decided = [one.decided for one in hits if one.decided is not None]
    longest = max(len(one.log_p) for one in hits)
    for first_k in FIRST:
        if first_k >= longest or any(stop > first_k for stop in decided):
            continue
        sums = [_first(one, alpha, first_k) for one in hits]
        yield _Proposal(alpha, first_k, np.array(sums))


def _first(one: Rollout, alpha: float, first_k: int) -> float:
    raised = one.at(alpha)
    if raised is None:
        return math.nan
    return float(raised[:first_k].sum() + one.log_p[first_k : one.decided].sum())
