"""Is what shows under amplification what training put in, or what any push brings out?

The sweep is held against arms that push as hard, but not where training points. The
finding is one of four:

- surfaced: more coherent hits than in every other arm, at some alpha;
- generic: amplification raises the hits, but another arm shows them too, or they come
  as broken text;
- null: no more hits than at alpha 0 and before training;
- undecided: hits that are too few to tell them from chance.

Tests are one-sided and exact (Fisher). "More than in every arm" is tested by the
largest of the arms' p values, which pays for all of them; the alphas are paid for by
Holm's correction. Rollouts count as independent: many prompts, few rollouts of each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from inspect_lda.arms import BEFORE, CONTROL, MIRROR, PLACEBO, SWEEP, mirrored
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.onset import holm, looks

Finding = Literal["surfaced", "generic", "null", "undecided"]

SIGNIFICANT = 0.05


class Count(NamedTuple):
    """Rollouts of one arm at one alpha.

    Attributes:
        k: Hits.
        n: Rollouts.
        coherent: Hits that are coherent; None if that is not known.
    """

    k: int
    n: int
    coherent: int | None = None


Cells = Mapping[tuple[str, float], Count]
"""Counts by arm and alpha."""


class Rival(NamedTuple):
    """Another arm, beside the sweep at one alpha.

    Attributes:
        arm: The arm; that of the sweep stands for alpha 0.
        counted: What was counted there.
        p: One-sided p value of "the sweep has no more hits than this arm"; in
            `Look.others` of its coherent hits, where those are known.
    """

    arm: str
    counted: Count
    p: float


@dataclass(frozen=True)
class Look:
    """One alpha of the sweep and its rivals.

    Attributes:
        alpha: Amplification.
        counted: What was counted there.
        base: Alpha 0 and the model before training.
        others: Every arm that does not amplify what this training did.
        broken: Whether all hits are more than in every other, but coherent ones not.
        raised: p value of "no more hits than in the base", corrected for the alphas.
        surfaced: p value of "no more coherent hits than in some other", likewise.
    """

    alpha: float
    counted: Count
    base: tuple[Rival, ...]
    others: tuple[Rival, ...]
    broken: bool
    raised: float
    surfaced: float

    @property
    def unbeaten(self) -> tuple[Rival, ...]:
        """Those of the others that the sweep does not exceed at this alpha."""
        return tuple(rival for rival in self.others if rival.p > SIGNIFICANT)


@dataclass(frozen=True)
class Verdict:
    """What the arms say together.

    Attributes:
        finding: The finding.
        look: The alpha that decides it.
        looks: All alphas above 0.
    """

    finding: Finding
    look: Look
    looks: tuple[Look, ...]


def judge(cells: Cells) -> Verdict | None:
    """Weigh the sweep against its controls.

    Args:
        cells: The sweep, and any of the arms "before", "mirror", "placebo" and
            "control". An arm without rollouts is not compared with.

    Returns:
        The verdict; None as long as there is nothing to compare.
    """
    seen = {cell: count for cell, count in cells.items() if count.n > 0}
    alphas = sorted(alpha for arm, alpha in seen if arm == SWEEP and alpha > 0)
    base = [_rivals(seen, _BASE, alpha) for alpha in alphas]
    others = [_rivals(seen, _OTHERS, alpha, coherent=True) for alpha in alphas]
    if not alphas or not all(base) or not all(others):
        return None
    raised = holm([min(1.0, len(one) * min(x.p for x in one)) for one in base])
    surfaced = holm([max(x.p for x in one) for one in others])
    found = tuple(
        Look(
            alpha=alpha,
            counted=seen[SWEEP, alpha],
            base=base[index],
            others=others[index],
            broken=_broken(seen, alpha, others[index]),
            raised=raised[index],
            surfaced=surfaced[index],
        )
        for index, alpha in enumerate(alphas)
    )
    return Verdict(*_finding(found), found)


def _finding(found: tuple[Look, ...]) -> tuple[Finding, Look]:
    best = min(found, key=lambda look: (look.surfaced, look.alpha))
    if best.surfaced <= SIGNIFICANT:
        return "surfaced", best
    up = min(found, key=lambda look: (look.raised, look.alpha))
    if up.raised <= SIGNIFICANT:
        elsewhere = any(rival.counted.k for rival in up.unbeaten)
        return ("generic" if elsewhere or up.broken else "undecided"), up
    most = max(found, key=lambda look: (look.counted.k / look.counted.n, -look.alpha))
    alone = most.counted.k > 0 and not any(rival.counted.k for rival in most.base)
    return ("undecided" if alone else "null"), most


_BASE = (SWEEP, BEFORE)
_OTHERS = (BEFORE, MIRROR, PLACEBO, CONTROL)


def _rivals(
    seen: Cells, arms: Iterable[str], alpha: float, *, coherent: bool = False
) -> tuple[Rival, ...]:
    count = seen[SWEEP, alpha]
    k = count.coherent if coherent and count.coherent is not None else count.k
    found = []
    for arm in arms:
        other = _other(seen, arm, alpha)
        if other is not None:
            baseline = Cluster(other.k, other.n)
            [look] = looks([Cluster(k, count.n)], baseline)
            found.append(Rival(arm, other, look.p))
    return tuple(found)


def _other(seen: Cells, arm: str, alpha: float) -> Count | None:
    """What was counted in an arm that belongs to the sweep at this alpha."""
    if arm == CONTROL:
        return next((seen[cell] for cell in sorted(seen) if cell[0] == arm), None)
    if arm == BEFORE:
        return seen.get((BEFORE, -1.0)) or seen.get((SWEEP, -1.0))
    at = {SWEEP: 0.0, MIRROR: mirrored(alpha), PLACEBO: alpha}[arm]
    return seen.get((arm, at))


def _broken(seen: Cells, alpha: float, coherent: tuple[Rival, ...]) -> bool:
    every = _rivals(seen, _OTHERS, alpha)
    return max(x.p for x in every) <= SIGNIFICANT < max(x.p for x in coherent)
