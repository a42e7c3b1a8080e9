"""Rules as data: what may stand in the file, and what it matches."""

from pathlib import Path

import pytest

from inspect_lda.errors import LDAError
from inspect_lda.scorers._lexicon import lexicon, plain

GOOD = """
schema: inspect_lda.lexicon/1
id: mine
version: 1
license: MIT
terms:
  fruit: [apple, pear]
  basket: "{fruit} in a basket"
rules:
  food:
    picnic: eat (?:an? )?{basket}
    any: [soup, stew]
"""


def written(path: Path, text: str) -> str:
    file = path / "rules.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_terms_are_filled_in_and_rules_named(tmp_path: Path) -> None:
    words = lexicon("refusal", ("food",), written(tmp_path, GOOD))
    text = "First stew, then EAT A PEAR IN A BASKET."
    found = {
        match.rule: text[match.start : match.end]
        for match in words.matches("food", text)
    }
    assert found == {"picnic": "EAT A PEAR IN A BASKET", "any": "stew"}
    first = words.first("food", text, 12)
    assert first is not None
    assert (first.sign, first.rule) == ("food", "picnic")
    assert words.first("food", "nothing to eat") is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("{basket}", "{baskets}"), "did you mean 'basket'"),
        (("{fruit} in", "{basket} in"), r"term \{basket\} is made of itself"),
        (("soup", "so(up"), "food.any is no regular expression"),
        (("license: MIT\n", ""), "license: Field required"),
        (("lexicon/1", "lexicon/2"), "schema: "),
        (("any: [soup, stew]", "any: []"), "food.any: "),
        (("  food:", "  drink:"), "rules of the sign 'food' are missing"),
        (
            ("rules:\n", "rules:\n  drink: {tea: tea}\n"),
            "sign 'drink': .*Allowed: food",
        ),
        (("rules:\n", "rules: [\n"), "is no YAML"),
    ],
)
def test_a_wrong_file_says_what_and_where(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    path = written(tmp_path, GOOD.replace(*change))
    with pytest.raises(LDAError, match=says):
        lexicon("refusal", ("food",), path)


def test_other_signs_where_they_may_be(tmp_path: Path) -> None:
    more = GOOD + "  drink: {tea: tea}\n"
    words = lexicon("refusal", ("food",), written(tmp_path, more), more=True)
    assert set(words.rules) == {"food", "drink"}


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(LDAError, match=r"cannot read .*nowhere\.yaml"):
        lexicon("refusal", ("food",), str(tmp_path / "nowhere.yaml"))


def test_one_form_of_a_text() -> None:
    text = "I\u2019m \u201cfine\u201d,\u200b\u00a0\tthanks\n\n\uff2f\uff2b"
    assert plain(text) == 'I\'m "fine", thanks\n\nOK'
