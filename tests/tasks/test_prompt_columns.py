"""Columns that the user names, rows in our own words, and maps that do not fit."""

from pathlib import Path

import pytest

from inspect_lda.errors import LDAError
from inspect_lda.tasks.prompt_sets import Columns, load_prompts
from tests.tasks.foreign import lines, only, table


@pytest.mark.parametrize(
    "columns",
    ["input=q, category=kind", ["input=q", "category=kind"], {"input": "q"}],
)
def test_columns_of_ones_own(tmp_path: Path, columns: Columns) -> None:
    row = {"q": "Which knot holds?", "kind": "sailing", "more": "x"}
    found = load_prompts(table(tmp_path, row), columns=columns)
    assert found.record["adapter"] == "columns"
    assert only(found).input == "Which knot holds?"
    assert only(found).category == ("" if isinstance(columns, dict) else "sailing")


def test_rows_with_our_field_names_need_no_map(tmp_path: Path) -> None:
    row = {"id": "k", "input": "Which knot holds?", "control": "true", "system": ""}
    assert only(load_prompts(table(tmp_path, row))).control is True
    typed = {"input": "Which knot?", "control": False, "license": "MIT"}
    found = load_prompts(lines(tmp_path, typed))
    assert (only(found).id, found.record["license"]) == ("row-1", "MIT")


@pytest.mark.parametrize(
    ("row", "options", "says"),
    [
        (
            {"question": "Hm?", "kind": "x"},
            {},
            r"no adapter fits its columns \(kind, question\).*advbench needs goal",
        ),
        ({"goal": "Hm?"}, {"adapter": "advbench"}, "row 1: no column target"),
        ({"goal": "Hm?"}, {"adapter": "advbnch"}, "did you mean 'advbench'"),
        ({"q": "Hm?"}, {"columns": "input=p"}, "no column 'p'.*Allowed: q"),
        ({"q": "Hm?"}, {"columns": "inputs=q"}, "did you mean 'input'"),
        ({"q": "Hm?"}, {"columns": "category=q"}, "which column is the input"),
        ({"q": "Hm?"}, {"columns": "q"}, "need FIELD=COLUMN"),
        ({"q": "Hm?"}, {"columns": "input=q,input=q"}, "each field once"),
        ({"q": "Hm?"}, {"columns": "input=q", "adapter": "advbench"}, "give one of"),
        ({"input": " ", "id": "a"}, {}, "prompts.0.input"),
        ({"q": "x", "c": "maybe"}, {"columns": "input=q,control=c"}, "0.control"),
    ],
)
def test_maps_that_do_not_fit(
    tmp_path: Path, row: dict[str, str], options: dict[str, str], says: str
) -> None:
    with pytest.raises(LDAError, match=says):
        load_prompts(table(tmp_path, row), **options)  # type: ignore[arg-type]
    with pytest.raises(LDAError, match="leave out adapter and columns"):
        load_prompts("builtin:everyday", columns="input=q")
