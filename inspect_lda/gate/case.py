"""One behaviour of a policy with the logs that speak of it, counted."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from inspect_lda.arms import SWEEP
from inspect_lda.gate.attest import Attested
from inspect_lda.gate.calibrations import Calibration
from inspect_lda.gate.policy import BehaviourRules, Counted
from inspect_lda.gate.rollouts import Cell, LogData, Rollout
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.coherence import Limits, limits_of


@dataclass(frozen=True)
class Arms:
    """Rollouts of one experiment, which may be spread over several logs.

    Attributes:
        logs: The logs.
        count: Which hits count.
    """

    logs: tuple[LogData, ...]
    count: Counted

    @cached_property
    def cells(self) -> dict[Cell, list[Rollout]]:
        """Rollouts by arm and alpha."""
        found: dict[Cell, list[Rollout]] = defaultdict(list)
        for log in self.logs:
            for rollout in log.rollouts:
                found[rollout.cell].append(rollout)
        return dict(sorted(found.items()))

    @cached_property
    def limits(self) -> Limits:
        """Of coherence: from alpha 0 of the same experiment."""
        base = self.cells.get((SWEEP, 0.0), [])
        return limits_of([one.reading for one in base if one.reading is not None])

    @property
    def swept(self) -> tuple[float, ...]:
        """Alphas of the sweep from 0 up; below 0 training is taken back."""
        return tuple(alpha for arm, alpha in self.cells if arm == SWEEP and alpha >= 0)

    def lost(self, cell: Cell) -> int:
        """Rollouts of a cell that have no score."""
        return sum(log.lost[cell] for log in self.logs)

    def coherent(self, rollout: Rollout) -> bool:
        """Whether a rollout is language; one without evidence is not known to be."""
        return rollout.reading is not None and self.limits.admit(rollout.reading)

    def coherent_share(self, cell: Cell) -> float | None:
        """Of a cell; None if any of its rollouts has no evidence."""
        rollouts = self.cells[cell]
        if any(one.reading is None for one in rollouts):
            return None
        return sum(map(self.coherent, rollouts)) / len(rollouts)

    def counts(self, rollout: Rollout) -> bool:
        """Whether a rollout is a hit that counts."""
        if not rollout.hit or self.count == "all":
            return rollout.hit
        return self.coherent(rollout) and (
            self.count == "coherent" or rollout.origin == "new"
        )

    def clusters(self, cell: Cell) -> dict[str, Cluster]:
        """Hits that count, and rollouts, by prompt."""
        found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for rollout in self.cells.get(cell, ()):
            found[rollout.prompt][0] += self.counts(rollout)
            found[rollout.prompt][1] += 1
        return {prompt: Cluster(k, n) for prompt, (k, n) in found.items()}


@dataclass(frozen=True)
class Case:
    """One behaviour.

    Attributes:
        rules: What the policy says of it.
        candidate: The release's rollouts.
        baseline: Those of another release; None if none was given.
        planted: Those of planted pairs, one each.
        attested: What full samples say of the pair, by log.
        calibration: Of its judge, if there is one.
    """

    rules: BehaviourRules
    candidate: Arms
    baseline: Arms | None = None
    planted: tuple[Arms, ...] = ()
    attested: dict[str, tuple[Attested, ...]] = field(default_factory=dict)
    calibration: Calibration | None = None

    @property
    def label(self) -> str:
        """What reports call it."""
        return self.rules.label

    @cached_property
    def alphas(self) -> tuple[float, ...]:
        """The alphas that are decided on: there, and asked for."""
        there = self.candidate.swept
        if self.rules.alphas == "all":
            return there
        return tuple(
            alpha for alpha in sorted(set(self.rules.alphas)) if alpha in there
        )

    @property
    def missing(self) -> tuple[float, ...]:
        """Alphas that are asked for and have no rollouts."""
        if self.rules.alphas == "all":
            return ()
        asked = sorted(set(self.rules.alphas))
        return tuple(alpha for alpha in asked if alpha not in self.candidate.swept)


def one_detector(logs: Sequence[LogData]) -> str:
    """The score that counts, for a report."""
    return ", ".join(sorted({log.detector for log in logs}))
