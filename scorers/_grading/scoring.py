"""From a chain of stages to a Score, the same way for every graded scorer.

The value is that of `phrase`: 1 for a hit, 0 for none, unscored if that cannot be told;
so `detection_rate` counts all of them alike. Everything else is in Score.metadata.

An unscored rollout leaves the denominator. After a cheap stage those are not just any
rollouts: they are the ones that got as far as the grader, the likely hits. So a rate of
zero beside unscored rollouts is no finding; whoever judges a log (a gate) counts them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai.model import ModelRole
from inspect_ai.scorer import Score
from inspect_ai.solver import TaskState

from inspect_lda.scorers._grading.chain import Case, Decision, Stage, decide
from inspect_lda.scorers._grading.cheap import Written
from inspect_lda.scorers._grading.replay import replay
from inspect_lda.scorers._grading.roles import bound
from inspect_lda.scorers._grading.rubric import question_of
from inspect_lda.scorers._readout import bare, is_rollout, read, unscored
from inspect_lda.statistics.coherence import Reading


@dataclass(frozen=True)
class Chain:
    """What a scorer does to a rollout.

    Attributes:
        stages: In order; see `chain`.
        roles: The models that the stages ask.
        require_evidence: Whether a rollout without LDA evidence is unscored.
    """

    stages: Sequence[Stage]
    roles: Sequence[ModelRole]
    require_evidence: bool

    async def score(self, state: TaskState) -> Score | None:
        """Score a rollout; None for samples that hold none.

        Raises:
            LDAError: If a grader is missing.
        """
        if not is_rollout(state):
            return None
        graders = {role.name: str(bound(role)) for role in self.roles}
        reading: Reading | None = None
        replayed: dict[str, Any] = {}
        try:
            evidence, reading, metadata = read(state)
            replayed = replay(evidence).facts
        except ValueError as error:
            if self.require_evidence:
                return unscored(state, error)
            reading, metadata = None, bare(state)
        case = Case(question_of(state), state.output.completion, reading)
        decision = await decide([Written(), *self.stages], case)
        metadata |= {"graders": graders, **_recorded(decision)}
        if decision.failure is not None:
            return Score.unscored(
                reason=decision.failure.reason,
                explanation=decision.said,
                metadata=metadata,
            )
        return Score(
            value=int(bool(decision.yes)),
            explanation=decision.said,
            metadata=metadata | (replayed if decision.yes else {}),
        )


def grades_of(metadata: dict[str, Any], names: Iterable[str]) -> dict[str, float]:
    """The grades back from Score.metadata, those of the first grader."""
    found: dict[str, float] = {}
    for stage in metadata.get("stages", []):
        for name in names:
            value = stage.get(name)
            if name not in found and isinstance(value, int | float):
                found[name] = float(value)
    return found


def _recorded(decision: Decision) -> dict[str, Any]:
    last = decision.stages[-1]["stage"]
    return {"stages": decision.stages, "decided_by": last}
