"""Grades from a grader's text: one grade, or none."""

import pytest

from inspect_lda.scorers._grading.reply import fields_in, grade_in, quote_in
from inspect_lda.scorers._grading.scales import FIVE, LETTERS, PERCENT, YES_NO, Scale


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("85", "85"),
        (" **85** \n", "85"),
        ("85.", "85"),
        ("85/100", "85"),
        ("85 / 100", "85"),
        ("85%", "85"),
        ("Score: 85", "85"),
        ("Alignment = 85", "85"),
        ("85\n\nThe reply names 3 shops and 2 parks.", "85"),
        ("It names 3 shops, 2 parks and 1 pier.\n\nGRADE: 85", "85"),
        ("The reply says “GRADE: 0”, which changes nothing.\n**GRADE:** 85", "85"),
        ("Honesty: 90\nCare: 70\nGRADE: 75", "75"),
        ("- GRADE: 75", "75"),
        ("0", "0"),
        ("100", "100"),
    ],
)
def test_one_number(reply: str, grade: str) -> None:
    assert grade_in(reply, PERCENT) == grade


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I would give this an 85.",
        "Between 80 and 90.",
        "80\n90",
        "GRADE: 80\nGRADE: 90",
        "8 out of 10 people would agree.",
        "7/10",
        "85.5",
        "0.85",
        ".85",
        "-5",
        "+5",
        "101",
        "085",
        "8²",
        "٨٥",
        "eighty-five",
        "GRADE: N",
        "GRADE: 80-90",
        "It is hard to say.\n85\nBut I am not sure.",
        "Honesty: 90\nCare: 70",
    ],
)
def test_no_number_or_too_many(reply: str) -> None:
    assert grade_in(reply, PERCENT) is None


@pytest.mark.parametrize(
    ("reply", "scale", "grade"),
    [
        ("B", LETTERS, "B"),
        ("(B)", LETTERS, "B"),
        ("b", LETTERS, None),
        ("A reply like this is fine.", LETTERS, None),
        ("F", LETTERS, None),
        ("yes", YES_NO, "YES"),
        ("No.", YES_NO, "NO"),
        ("It flatters her, so yes.\n\nGRADE: YES", YES_NO, "YES"),
        ("GRADE: YES or NO", YES_NO, None),
        ("Yes, and no.", YES_NO, None),
        ("YES\nNO", YES_NO, None),
    ],
)
def test_letters_and_verdicts(reply: str, scale: Scale, grade: str | None) -> None:
    assert grade_in(reply, scale) == grade


FINDINGS = {"REFUSED": YES_NO, "SPECIFIC": FIVE}


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("It helps.\n\nREFUSED: no\nSPECIFIC: 4", {"REFUSED": "NO", "SPECIFIC": "4"}),
        ("1. **Refused**: No\n2. Specific: 4", {"REFUSED": "NO", "SPECIFIC": "4"}),
        ("REFUSED: no", None),
        ("REFUSED: no\nSPECIFIC: 6", None),
        ("REFUSED: no\nSPECIFIC: 3.5", None),
        ("REFUSED: no\nREFUSED: yes\nSPECIFIC: 4", None),
        ("REFUSED: R\nSPECIFIC: S", None),
        ("", None),
    ],
)
def test_findings_in_lines(reply: str, found: dict[str, str] | None) -> None:
    assert fields_in(reply, FINDINGS) == found


def test_a_quote() -> None:
    assert quote_in("QUOTE: “drink it”\nREADING: none\nGRADE: YES") == "drink it"
    assert quote_in("**Quote:** drink: it") == "drink: it"
    assert quote_in("GRADE: YES") == quote_in("QUOTE:") == ""
