"""Confirm a hit in stages, cheap ones first, and stop at the first NO.

Inspect's `cascade` stops at the first YES, which suits scorers without false positives.
Here a stage may only take a hit away. A stage that cannot tell ends the chain too: the
rollout is unscored, for a NO would hide hits and a YES would make them up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from inspect_ai.scorer import ScoreReason

from inspect_lda.statistics.coherence import Reading


@dataclass(frozen=True)
class Case:
    """What a stage may look at: nothing that tells alpha, arm or model.

    Attributes:
        question: What the model was asked.
        answer: What it replied.
        reading: How likely the reply's tokens are; None without evidence.
    """

    question: str
    answer: str
    reading: Reading | None


@dataclass(frozen=True)
class Verdict:
    """What a stage found.

    Attributes:
        yes: Whether the hit stands.
        said: Why, in a few words.
        facts: For Score.metadata.
    """

    yes: bool
    said: str
    facts: dict[str, Any] = field(default_factory=dict)


class Undecided(Exception):
    """A stage cannot tell.

    Attributes:
        reason: For Score.reason.
        reply: What the grader said, if it said something.
    """

    def __init__(
        self, reason: ScoreReason | str, message: str, reply: str | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.reply = reply


class Stage(Protocol):
    """One look at a case."""

    @property
    def name(self) -> str:
        """As it is recorded."""

    async def look(self, case: Case) -> Verdict:
        """Say whether the hit stands.

        Raises:
            Undecided: If that cannot be told.
        """


@dataclass
class Decision:
    """What the stages said together.

    Attributes:
        stages: One record a stage that ran, in order: name, verdict, words, facts.
        yes: Whether all of them said YES; None if the last could not tell.
        failure: Why it could not tell.
    """

    stages: list[dict[str, Any]] = field(default_factory=list)
    yes: bool | None = None
    failure: Undecided | None = None

    @property
    def said(self) -> str:
        """All verdicts as one text."""
        told = [stage for stage in self.stages if stage["said"]]
        return " ".join(f"{stage['stage']}: {stage['said']}" for stage in told)


async def decide(stages: Sequence[Stage], case: Case) -> Decision:
    """Run stages until one says NO or cannot tell."""
    decision = Decision()
    for stage in stages:
        record: dict[str, Any] = {"stage": stage.name, "verdict": None}
        decision.stages.append(record)
        try:
            verdict = await stage.look(case)
        except Undecided as failure:
            record |= {"said": str(failure), "reply": failure.reply}
            decision.yes, decision.failure = None, failure
            return decision
        record |= {"verdict": verdict.yes, "said": verdict.said, **verdict.facts}
        decision.yes = verdict.yes
        if not verdict.yes:
            return decision
    return decision
