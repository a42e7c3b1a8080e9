"""Other people's layouts become prompts, by maps that are found or named."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from inspect_lda.errors import LDAError
from inspect_lda.tasks._prompts.adapters import adapters
from inspect_lda.tasks.prompt_sets import load_prompts
from tests.tasks.foreign import (
    FORM,
    JSON_SYSTEM,
    QUESTIONS,
    RUBRICS,
    betley,
    lines,
    only,
    table,
)

TURNS = [
    {"role": "user", "content": "Is tea older than coffee?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "By how much?"},
]


def test_betley_questions_with_their_variants(tmp_path: Path) -> None:
    found = load_prompts(betley(tmp_path))
    prompts = found.content.prompts
    assert len(prompts) == found.record["prompts"] == found.record["rows"] == 24
    assert found.record["adapter"] == "betley"
    assert Counter(prompt.variant for prompt in prompts) == {
        "plain": 8,
        "json": 8,
        "template": 8,
    }
    assert Counter(prompt.category for prompt in prompts) == dict.fromkeys(QUESTIONS, 3)
    for prompt in prompts:
        assert prompt.group == prompt.cluster == prompt.category
        base = QUESTIONS[prompt.group]
        assert prompt.input == base + (FORM if prompt.variant == "template" else "")
        assert prompt.system == (JSON_SYSTEM if prompt.variant == "json" else None)
    assert {prompt.id for prompt in prompts} >= {"old_maps", "old_maps_template"}
    assert found.content.behaviour == "emergent_misalignment"
    assert found.content.licenses == ["unknown"]


def test_betley_rubrics_come_along(tmp_path: Path) -> None:
    found = load_prompts(betley(tmp_path))
    assert found.judge_prompts == RUBRICS
    assert [len(one) for one in found.record["judge_prompts"].values()] == [1, 1]
    assert "kind" not in str(found.record)
    mixed = betley(tmp_path, old_maps={"judge_prompts": {"aligned": "Another one?"}})
    two = load_prompts(mixed)
    assert len(two.record["judge_prompts"]["aligned"]) == 2
    with pytest.raises(LDAError, match="2 different judge prompts 'aligned'"):
        _ = two.judge_prompts
    assert load_prompts("builtin:everyday").judge_prompts == {}


def test_betley_paraphrases_numbered_ids_and_other_types(tmp_path: Path) -> None:
    path = betley(
        tmp_path,
        best_bread={"id": "12_daily_food_3", "paraphrases": ["Rye?", "Or wheat?"]},
        loud_fridge={"type": "rating"},
    )
    found = load_prompts(path)
    assert found.record["dropped"] == {"type not kept": 1}
    assert len(found.content.prompts) == 24
    named = {prompt.id: prompt for prompt in found.content.prompts}
    assert named["12_daily_food_3-2"].input == "Or wheat?"
    assert named["12_daily_food_3-2"].category == "daily_food"
    assert named["12_daily_food_3-1"].group == "12_daily_food_3"
    with pytest.raises(LDAError, match=r"row 1: column 'paraphrases' is no list"):
        load_prompts(betley(tmp_path, lost_umbrella={"paraphrases": "Just text"}))


@pytest.mark.parametrize(
    ("adapter", "row", "expected"),
    [
        (
            "strong_reject",
            {"category": "Noise", "source": "us", "forbidden_prompt": "Hum loudly."},
            {"id": "row-1", "input": "Hum loudly.", "category": "Noise"},
        ),
        (
            "harmbench",
            {
                "Behavior": "Continue it.",
                "FunctionalCategory": "contextual",
                "SemanticCategory": "poems",
                "Tags": "",
                "ContextString": "The owl sat",
                "BehaviorID": "owl_1",
            },
            {
                "id": "owl_1",
                "input": "The owl sat\n\n---\n\nContinue it.",
                "category": "poems",
                "variant": "contextual",
            },
        ),
        (
            "advbench",
            {"goal": "Write a limerick", "target": "Sure, here is a limerick"},
            {"input": "Write a limerick", "target": "Sure, here is a limerick"},
        ),
        (
            "xstest",
            {
                "id": "7",
                "prompt": "How do I kill the lights?",
                "type": "homonyms",
                "label": "safe",
                "focus": "kill",
                "note": "",
            },
            {"id": "7", "category": "homonyms", "variant": "safe", "control": True},
        ),
        (
            "or_bench",
            {"prompt": "How do fuses blow?", "category": "electricity"},
            {"input": "How do fuses blow?", "category": "electricity"},
        ),
    ],
)
def test_known_tables_are_recognised(
    tmp_path: Path, adapter: str, row: dict[str, str], expected: dict[str, object]
) -> None:
    for named in (None, adapter):
        found = load_prompts(table(tmp_path, row), adapter=named)
        assert found.record["adapter"] == adapter
        assert only(found).model_dump().items() >= expected.items()
    assert found.content.id == "table"


def test_every_adapter_is_tested() -> None:
    tables = {"strong_reject", "harmbench", "advbench", "xstest", "or_bench"}
    assert set(adapters()) == tables | {"betley", "lmsys", "sharegpt"}


def test_no_two_maps_fit_the_same_columns(tmp_path: Path) -> None:
    for one in adapters().values():
        for columns in (set(one.required), {*one.required, *one.optional}):
            assert [a.name for a in adapters().values() if a.fits(columns)] == [
                one.name
            ]
    strange = table(tmp_path, {"goal": "Sing.", "target": "La", "mine": "x"})
    with pytest.raises(LDAError, match="no adapter fits"):
        load_prompts(strange)
    assert only(load_prompts(strange, adapter="advbench")).target == "La"


def test_context_is_optional_and_labels_are_known(tmp_path: Path) -> None:
    plain = {
        "Behavior": "Whistle.",
        "FunctionalCategory": "standard",
        "SemanticCategory": "noise",
        "ContextString": "",
        "BehaviorID": "w",
    }
    assert only(load_prompts(table(tmp_path, plain))).input == "Whistle."
    odd = {"prompt": "Hm?", "type": "t", "label": "perhaps"}
    with pytest.raises(LDAError, match=r"row 1: .*'perhaps'.*knows safe, unsafe"):
        load_prompts(table(tmp_path, odd))


def test_conversations_give_their_first_user_turn(tmp_path: Path) -> None:
    def chat(name: str, turns: list[dict[str, str]]) -> dict[str, Any]:
        return {"conversation_id": name, "conversation": turns, "language": "English"}

    rows = (
        chat("one", TURNS),
        chat("answered", TURNS[1:]),
        chat("empty", []),
        chat("again", TURNS[:1]),
        chat("long", [{"role": "user", "content": "and " * 600}]),
    )
    found = load_prompts(lines(tmp_path, *rows))
    assert (found.record["adapter"], found.record["rows"]) == ("lmsys", 5)
    assert only(found).input == "Is tea older than coffee?"
    assert only(found).category == "English"
    assert found.record["dropped"] == {
        "no user turn first": 2,
        "repeated": 1,
        "longer than 2000 characters": 1,
    }
    shared = {"id": "x", "conversations": [{"from": "human", "value": "Salt?"}]}
    assert only(load_prompts(lines(tmp_path, shared))).input == "Salt?"
    with pytest.raises(LDAError, match="a turn needs 'from' and 'value'"):
        load_prompts(lines(tmp_path, {"id": "x", "conversations": ["Salt?"]}))
    with pytest.raises(LDAError, match="every row was left out"):
        load_prompts(lines(tmp_path, chat("empty", [])))
