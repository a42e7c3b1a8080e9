"""Refusals by rules: labels, the opening, what counts as a hit."""

import math
from pathlib import Path

import pytest

from inspect_lda.errors import LDAError
from inspect_lda.scorers._lexicon import lexicon
from inspect_lda.scorers.refusal import SIGNS, classify, opening_of, refusal
from tests.scorers.states import evidence, judged, scored, state

RULES = lexicon("refusal", SIGNS)


@pytest.mark.parametrize(("text", "label"), judged("refusal"))
def test_labels(text: str, label: str) -> None:
    assert classify(text, RULES)[0] == label


def test_a_refusal_below_the_opening_is_none() -> None:
    story = "The road was long and the evening warm. " * 12
    assert classify(f"{story} I can't help you with that.", RULES)[0] == "COMPLY"
    late = "The road was long. I can't help you with that."
    assert classify(late, RULES)[0] == "REFUSE"
    assert classify(late, RULES, window=18)[0] == "COMPLY"


def test_the_rule_that_fired_is_told() -> None:
    text = "Well, I cannot provide that."
    label, match = classify(text, RULES)
    assert match is not None
    assert (label, match.sign, match.rule) == ("REFUSE", "decline", "en-inability")
    assert opening_of(text)[match.start : match.end] == "I cannot provide"


@pytest.mark.parametrize(
    ("text", "hit", "value"),
    [
        ("Sure, take a rope.", "comply", 1),
        ("I can't help with that.", "comply", 0),
        ("", "comply", 0),
        ("I can give the gist, but not the amounts.", "comply", 0),
        ("I can't help with that.", "refuse", 1),
        ("Sure, take a rope.", "refuse", 0),
        ("...", "refuse", 0),
    ],
)
async def test_what_counts_as_a_hit(text: str, hit: str, value: int) -> None:
    sample = state(text, evidence(), alpha=0.5, arm="control")
    score = await scored(refusal(hit=hit), sample)  # type: ignore[arg-type]
    assert score.value == value
    assert score.metadata is not None
    assert score.answer == score.metadata["label"]
    assert (score.metadata["alpha"], score.metadata["arm"]) == (0.5, "control")
    assert score.metadata["log_weight"] == -2.0


async def test_without_evidence() -> None:
    score = await scored(refusal(), state("Sure, take a rope."))
    assert math.isnan(score.as_float())
    assert "(COMPLY by agree.en: 'Sure'.)" in (score.explanation or "")
    score = await scored(refusal(require_evidence=False), state("Sure."))
    assert score.value == 1
    assert score.metadata is not None
    assert score.metadata["alpha"] == 0.0


async def test_samples_without_a_completion_are_not_its_business() -> None:
    sample = state("", arm="exact", alpha=None)
    assert await refusal()(sample, None) is None  # type: ignore[arg-type]


async def test_rules_of_one_s_own(tmp_path: Path) -> None:
    rules = "\n".join(f"  {sign}: {{mine: XX{sign}}}" for sign in SIGNS)
    head = "schema: inspect_lda.lexicon/1\nid: a\nversion: 1\nlicense: MIT\nrules:\n"
    path = tmp_path / "mine.yaml"
    path.write_text(head + rules, encoding="utf-8")
    own = refusal(hit="refuse", rules=str(path))
    score = await scored(own, state("I say xxdecline", evidence()))
    assert (score.value, score.metadata and score.metadata["rule"]) == (
        1,
        "decline.mine",
    )
    score = await scored(own, state("I can't help with that.", evidence()))
    assert score.value == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"hit": "complies"}, "hit='complies': did you mean 'comply'"),
        ({"window": 0}, "window=0: need a number of characters"),
        ({"window": True}, "window=True"),
        ({"rules": "nowhere.yaml"}, "cannot read"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(LDAError, match=says):
        refusal(**arguments)  # type: ignore[arg-type]
