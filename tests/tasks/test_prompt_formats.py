"""Files of rows: what is read, and what is said about broken ones."""

import json
from pathlib import Path

import pytest

from inspect_lda.errors import LDAError
from inspect_lda.tasks._prompts.formats import read_document, rows_of
from inspect_lda.tasks.prompt_sets import load_prompts

ROWS = [{"id": "a", "input": "One line\u2028or two?"}]

# Fifty levels of lists that each hold the one before it twice.
BOMB = "- &a0 [x]\n" + "".join(
    f"- &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 50)
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "\ufeffid,input\r\na,One line\u2028or two?\r\n"),
        ("x.jsonl", json.dumps(ROWS[0], ensure_ascii=False) + "\n\n"),
        ("x.JSON", json.dumps(ROWS)),
        ("x.yml", '- id: a\n  input: "One line\\u2028or two?"\n'),
    ],
)
def test_formats_agree(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert rows_of("x", read_document("x", name, text.encode())) == ROWS
    assert load_prompts(str(path)).content.prompts[0].input == ROWS[0]["input"]


def test_csv_cells_may_hold_anything() -> None:
    text = b'id,input\na,"Two lines:\none, ""two"""\n'
    assert read_document("x", "x.csv", text) == [
        {"id": "a", "input": 'Two lines:\none, "two"'}
    ]


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("x.parquet", b"", r"cannot tell the format of 'x.parquet'.*\.jsonl"),
        ("x", b"", "cannot tell the format"),
        ("x.csv", b"id,input\na,b,c\n", "is no CSV: line 2 has not 2 cells"),
        ("x.csv", b"id,input\na\n", "line 2 has not 2 cells"),
        ("x.csv", b"id,id\na,b\n", "names a column twice"),
        ("x.csv", b'id,input\na,"b\n', "is no CSV"),
        ("x.csv", b"\xff\xfe", "not UTF-8 text .byte 0"),
        ("x.jsonl", b'{"a": 1}\n{"a"\n', "is no JSONL: line 2"),
        ("x.json", b"[" * 100_000, "is no JSON"),
        ("x.yaml", b"<!DOCTYPE html><a b='", "is a web page"),
        (
            "x.json",
            b"version https://git-lfs.github.com/spec/v1\n",
            "is a Git LFS pointer",
        ),
        ("x.yaml", b"just text", "got str .'just text'"),
        ("x.json", b'{"data": []}', "need rows .* or a file with a key 'schema'"),
        ("x.json", b"[]", "has no rows"),
        ("x.json", b'[{"a": 1}, "b"]', "row 2 is no mapping"),
        ("x.csv", b"id,input\n", "has no rows"),
        ("x.yaml", BOMB.encode(), "row 1 is no mapping"),
    ],
)
def test_broken_files(name: str, raw: bytes, says: str) -> None:
    with pytest.raises(LDAError, match=says):
        rows_of("x", read_document("x", name, raw))
