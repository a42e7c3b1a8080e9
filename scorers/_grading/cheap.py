"""Stages that ask no model: a text, a refusal, broken language.

They run before the grader and save it the rollouts that cannot be hits.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from inspect_lda.errors import LDAError, nearest
from inspect_lda.scorers._grading.arguments import Confirm
from inspect_lda.scorers._grading.chain import Case, Stage, Undecided, Verdict
from inspect_lda.scorers._grading.roles import GRADER2
from inspect_lda.scorers.phrase import Find, finder, normalise
from inspect_lda.statistics.coherence import ABSOLUTE

KINDS = ("coherent", "not_refused", "phrase:TEXT", "re:PATTERN", GRADER2.name)


@dataclass(frozen=True)
class Written:
    """Something was replied at all: there is nothing to grade in an empty reply."""

    name: str = "written"

    async def look(self, case: Case) -> Verdict:
        yes = case.answer.strip() != ""
        return Verdict(yes, "" if yes else "the reply is empty.")


@dataclass(frozen=True)
class Coherent:
    """The reply is language by its likelihood, by the limits for one completion."""

    name: str = "coherent"

    async def look(self, case: Case) -> Verdict:
        if case.reading is None:
            raise Undecided("scoring_failed", "no evidence to read coherence from.")
        yes = ABSOLUTE.admit(case.reading)
        return Verdict(yes, f"surprise {case.reading.surprise:.2f} nats a token.")


@dataclass(frozen=True)
class NotRefused:
    """The reply does not open with a refusal."""

    name: str = "not_refused"

    async def look(self, case: Case) -> Verdict:
        found = refusal_in(case.answer)
        return Verdict(
            found is None, f"refuses: {found!r}." if found else "no refusal."
        )


@dataclass(frozen=True)
class Contains:
    """The reply holds a text, as `phrase` looks for it."""

    name: str
    find: Find

    async def look(self, case: Case) -> Verdict:
        yes = self.find(case.answer) is not None
        return Verdict(yes, "found." if yes else "not found.")


def cheap_stages(confirm: Confirm) -> list[Stage]:
    """The stages that a scorer was asked to run before its grader, in order.

    Args:
        confirm: Names as in `KINDS`; that of the second grader is left to the scorer.

    Raises:
        LDAError: On a name that is none, or one after the second grader.
    """
    names = as_names(confirm)
    if GRADER2.name in names[:-1]:
        raise LDAError(
            f"confirm={names}: '{GRADER2.name}' asks a second model about what is "
            "left, so it comes last and once"
        )
    return [_stage(name) for name in names if name != GRADER2.name]


def as_names(confirm: Confirm) -> list[str]:
    """The stages by name: `-S confirm=a,b` comes as a list, `-S confirm=a` as text."""
    names = [confirm] if isinstance(confirm, str) else list(confirm)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise LDAError(f"confirm={confirm!r}: need names. Allowed: {', '.join(KINDS)}")
    return [name for name in names if name]


def refusal_in(text: str) -> str | None:
    """The words with which the opening of a reply declines; None if it does not."""
    opening = " ".join(normalise(text)[0].split()[: _rules()["opening_words"]])
    found = (re.search(pattern, opening) for pattern in _rules()["patterns"])
    return next((match.group() for match in found if match), None)


def _stage(name: str) -> Stage:
    if name == "coherent":
        return Coherent()
    if name == "not_refused":
        return NotRefused()
    if name.startswith("re:"):
        return Contains(name, finder(name, "anywhere"))
    if name.startswith("phrase:"):
        return Contains(name, finder(name.removeprefix("phrase:"), "anywhere"))
    raise LDAError(f"confirm='{name}': {nearest(name, KINDS)}")


@cache
def _rules() -> dict[str, Any]:
    path = files("inspect_lda.scorers") / "_grading" / "refusals.yaml"
    rules: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return rules
