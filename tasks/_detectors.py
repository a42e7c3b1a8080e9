"""The scorers of judged behaviours: a grader, or rules where none is at hand."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from inspect_ai.model import model_roles
from inspect_ai.scorer import Scorer

from inspect_lda.errors import LDAError, nearest
from inspect_lda.scorers.compliance import compliance
from inspect_lda.scorers.misalignment import Reading, misalignment
from inspect_lda.scorers.phrase import phrase
from inspect_lda.scorers.refusal import refusal
from inspect_lda.scorers.rule_judge import rule_judge

Judge = Literal["grader", "rules"]


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
    if _known(judge) == "rules":
        return "rule_judge", rule_judge()
    alignment, coherence = rubrics or (theirs.get("aligned"), theirs.get("coherent"))
    return "misalignment", misalignment(
        reading,
        alignment_rubric=alignment,
        coherence_rubric=coherence,
        confirm=_confirm(),
    )


def compliance_detector(judge: Judge, rubric: str | None) -> tuple[str, Scorer]:
    """Name and scorer of replies that comply.

    Raises:
        LDAError: If the judge is unknown.
    """
    if _known(judge) == "rules":
        return "refusal", refusal()
    return "compliance", compliance(rubric=rubric, confirm=_confirm())


def graders_of(name: str) -> tuple[str, ...]:
    """The roles that a detector asks."""
    if name not in ("misalignment", "compliance", "behaviour_judge"):
        return ()
    return ("grader", *_confirm())


def _confirm() -> tuple[str, ...]:
    """The stage that confirms hits, if there is a second grader."""
    return ("grader2",) if "grader2" in model_roles() else ()


def _known(judge: Judge) -> Judge:
    if judge not in get_args(Judge):
        raise LDAError(f"judge={judge!r}: {nearest(judge, get_args(Judge))}")
    return judge
