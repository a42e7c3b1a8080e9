"""The grade in a grader's reply as a text. Strict: a wrong grade is worse than none.

A grade stands on a line of its own, bare ("85", "**B**", "85/100") or named
("GRADE: 85"). Prose around it may hold any numbers; prose instead of it is no grade,
and neither are two grades that differ.
"""

import re
from collections.abc import Iterator, Mapping

from inspect_lda.scorers._grading.scales import QUOTES, Scale

NAME = "GRADE"
"""What the rubrics ask a grader to put in front of its verdict."""

_MARKUP = rf"[\s*_`#>(\[{{$)\]}}{QUOTES}]*"
_LINE = re.compile(
    rf"{_MARKUP}(?:(?:(?:[-•+]|[0-9][.)])\s+)?{_MARKUP}"
    rf"(?P<name>[A-Za-z][A-Za-z ]{{0,29}}?){_MARKUP}[:=])?{_MARKUP}"
    rf"(?P<word>[A-Za-z0-9]+)(?:\s*/\s*(?P<top>[0-9]+)|\s*%)?{_MARKUP}[.!]?{_MARKUP}"
)


def grade_in(reply: str, scale: Scale) -> str | None:
    """The one answer that a reply gives; None if it gives none, or more than one.

    Lines named GRADE go before all others. A bare line counts if it is the first or
    the last.
    """
    lines = [line for line in reply.splitlines() if line.strip()]
    if not lines:
        return None
    named = set(_named(lines, NAME, scale))
    if named:
        return named.pop() if len(named) == 1 else None
    found = [_answer(line, scale) for line in lines]
    given = {answer for answer in found if answer is not None}
    if len(given) != 1 or (found[0] is None and found[-1] is None):
        return None
    return given.pop()


def fields_in(reply: str, scales: Mapping[str, Scale]) -> dict[str, str] | None:
    """The answers in lines like "REFUSED: no"; None unless each is there once.

    Args:
        reply: The grader's reply.
        scales: The name of each line, and what it may say.
    """
    lines = reply.splitlines()
    found = {name: set(_named(lines, name, scale)) for name, scale in scales.items()}
    if any(len(answers) != 1 for answers in found.values()):
        return None
    return {name: answers.pop() for name, answers in found.items()}


def quote_in(reply: str, name: str = "QUOTE") -> str:
    """The text of a line like "QUOTE: …", its quotation marks removed, or nothing."""
    for line in reply.splitlines():
        head, colon, text = line.partition(":")
        if colon and head.strip(" *_`#>").upper() == name:
            return text.strip(f" \t*_`{QUOTES}")
    return ""


def _named(lines: list[str], name: str, scale: Scale) -> Iterator[str]:
    for line in lines:
        match = _LINE.fullmatch(line)
        if match and (match["name"] or "").upper() == name:
            answer = _answer(line, scale)
            if answer is not None:
                yield answer


def _answer(line: str, scale: Scale) -> str | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    answer = scale.find(match["word"])
    # "7/10" is no grade out of 100.
    out_of = match["top"] is None or scale.find(match["top"]) == list(scale.values)[-1]
    return answer if out_of else None
