"""What a prompt file may say, and what follows from it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from inspect_ai.model import ChatMessageSystem

from inspect_lda.errors import LDAError
from inspect_lda.tasks._arms import Design
from inspect_lda.tasks._behaviour import Behaviour
from inspect_lda.tasks.prompt_sets import Prefix, Prompt, PromptSet, load_prompts

FILE = {
    "schema": "inspect_lda.prompts/1",
    "id": "mine",
    "version": 1,
    "license": "MIT",
    "behaviour": "none",
    "defaults": {"system": "Be kind."},
}


def loaded(path: Path, *rows: dict[str, Any], **changes: object) -> PromptSet:
    file = path / "set.yaml"
    text = yaml.safe_dump(FILE | {"prompts": list(rows)} | changes)
    file.write_text(text, encoding="utf-8")
    return load_prompts(str(file), kind=None)


def test_a_row_overrides_its_file(tmp_path: Path) -> None:
    own = {"system": "Be brief.", "license": "CC0-1.0", "behaviour": "flattery"}
    more = {"variant": "json", "control": True, "target": "Great!", "trigger": "|x|"}
    found = loaded(tmp_path, {"id": "a", "input": "x"}, {"id": "b", "input": "y"} | own)
    first, second = map(found.content.complete, found.content.prompts)
    assert (first.system, first.license, first.behaviour) == ("Be kind.", "MIT", "none")
    assert second.model_dump(include=set(own)) == own
    assert found.record["license"] == "CC0-1.0, MIT"

    [row] = loaded(tmp_path, {"id": "c", "input": "z"} | more).content.prompts
    assert row.model_dump(include=set(more)) == more
    plain = Prompt(id="d", input="z")
    assert (plain.variant, plain.control, plain.target, plain.trigger) == (
        *("", False),
        *(None, None),
    )


def test_the_system_message_that_is_sent(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        {"id": "default", "input": "x"},
        {"id": "own", "input": "x", "system": "Be brief."},
        {"id": "none", "input": "x", "system": ""},
    ).content
    sought = Behaviour(pattern="!", target=None, trigger=None)
    design = Design(found.prompts, [-1.0], sought, system=found.defaults.system)
    sent = {}
    for sample in design.dataset("mine"):
        messages = [] if isinstance(sample.input, str) else sample.input
        system = [m.text for m in messages if isinstance(m, ChatMessageSystem)]
        sent[str(sample.id).partition("|")[0]] = system
    assert sent == {"default": ["Be kind."], "own": ["Be brief."], "none": []}


@pytest.mark.parametrize(
    ("system", "says"),
    [
        ("Be kind.", "input 'x' occurs twice under system 'Be kind.'"),
        (None, "occurs twice under system 'Be kind.'"),
    ],
)
def test_a_text_occurs_once_under_a_system_message(
    tmp_path: Path, system: str | None, says: str
) -> None:
    second = {"id": "b", "input": "x", "system": system}
    with pytest.raises(LDAError, match=says):
        loaded(tmp_path, {"id": "a", "input": "x"}, second)


def test_no_system_message_is_one_system_message(tmp_path: Path) -> None:
    rows = {"id": "a", "input": "x"}, {"id": "b", "input": "x", "system": ""}
    with pytest.raises(LDAError, match=r"input 'x' occurs twice$"):
        loaded(tmp_path, *rows, defaults={"system": None})
    assert len(loaded(tmp_path, *rows).content.prompts) == 2


def test_prefixes_are_kept_to_the_letter(tmp_path: Path) -> None:
    texts = ["", "\n", "Question: ", "|"]
    rows = [{"id": str(i), "input": text} for i, text in enumerate(texts)]
    found = loaded(tmp_path, *rows, kind="prefix").content.prompts
    assert [row.input for row in found] == texts
    assert all(isinstance(row, Prefix) for row in found)

    [prompt] = loaded(tmp_path, {"id": "a", "input": " x\n"}).content.prompts
    assert prompt.input == "x"


@pytest.mark.parametrize(
    ("row", "kind", "says"),
    [
        ({"id": "a", "input": ""}, "prompt", r"prompts\.0\.input: .*got ''"),
        ({"id": "a", "input": 1}, "prefix", r"prompts\.0\.input: .*got 1"),
        ({"id": "a", "inputs": ""}, "prefix", r"prompts\.0\.input: Field required"),
        ({"id": "a", "input": "x"}, "suffix", "kind: .*'prompt' or 'prefix'"),
        ({"id": "a", "input": "x", "target": " "}, "prompt", r"prompts\.0\.target"),
        ({"id": "a", "input": "x", "control": "maybe"}, "prompt", r"0\.control"),
    ],
)
def test_broken_rows(tmp_path: Path, row: dict[str, Any], kind: str, says: str) -> None:
    with pytest.raises(LDAError, match=says):
        loaded(tmp_path, row, kind=kind)


def test_a_task_gets_the_kind_it_can_ask() -> None:
    assert load_prompts("builtin:prefixes", kind="prefix").content.kind == "prefix"
    with pytest.raises(LDAError, match=r"kind 'prefix'.*'prompt'.*builtin:everyday"):
        load_prompts("builtin:prefixes")
    with pytest.raises(LDAError, match=r"kind 'prompt'.*'prefix'.*builtin:prefixes"):
        load_prompts("builtin:openers", kind="prefix")
