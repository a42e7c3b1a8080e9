"""Rows into prompts, by a column map."""

import json
import re
import reprlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from inspect_lda.errors import LDAError
from inspect_lda.tasks._prompts.adapters import Adapter, FirstTurn, Rule
from inspect_lda.tasks._prompts.formats import Row

REPEATED = "repeated"
NO_USER_TURN = "no user turn first"


@dataclass(frozen=True)
class Mapped:
    """What a map made of the rows.

    Attributes:
        rows: How many there were.
        prompts: Fields of each prompt, still to be checked against the schema.
        dropped: Reason → how many were left out.
        judges: Rubric's name → its texts, each once.
    """

    rows: int
    prompts: list[dict[str, str]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    judges: dict[str, tuple[str, ...]] = field(default_factory=dict)


class _Dropped(Exception):
    """A row, or a prompt, that the map leaves out; says why."""


def map_rows(spec: str, rows: list[Row], adapter: Adapter) -> Mapped:
    """Apply a map to every row.

    Prompts that say the same under the same system message are kept once. A prompt
    without an id is numbered by its row, so ids stay as long as the bytes do.

    Raises:
        LDAError: If a row lacks a column or holds what the map does not know; says
            which.
    """
    prompts: list[dict[str, str]] = []
    dropped: Counter[str] = Counter()
    asked: set[tuple[str, str]] = set()
    digits = len(str(len(rows)))
    for number, row in enumerate(rows, 1):
        try:
            made = list(_prompts(row, adapter))
        except _Dropped as reason:
            dropped[str(reason)] += 1
            continue
        except LDAError as error:
            raise LDAError(f"prompts={spec!r}, row {number}: {error}") from error
        for entry, prompt in enumerate(made, 1):
            prompt.setdefault("id", f"row-{number:0{digits}}")
            if len(made) > 1:
                prompt["id"] += f"-{entry}"
            key = (prompt.get("system", ""), prompt.get("input", "").strip())
            if key in asked:
                dropped[REPEATED] += 1
            else:
                asked.add(key)
                prompts.append(prompt)
    if not prompts:
        raise LDAError(f"prompts={spec!r}: every row was left out: {dict(dropped)}")
    return Mapped(len(rows), prompts, dict(dropped), _judges(rows, adapter))


def _prompts(row: Row, adapter: Adapter) -> Iterator[dict[str, str]]:
    """The prompts of a row: one, or one for every entry of a list column."""
    missing = [column for column in adapter.required if column not in row]
    if missing:
        raise LDAError(
            f"no column {', '.join(missing)}, which adapter {adapter.name!r} needs; "
            f"there are {', '.join(sorted(row))}"
        )
    for column, pattern in adapter.keep.items():
        if column in row and not re.search(pattern, _text(column, row[column])):
            raise _Dropped(f"{column} not kept")
    spread = [rule.column for rule in adapter.fields["input"] if rule.each]
    for entry in _entries(row, spread[0]) if spread else [row]:
        found = {
            name: next(filter(None, (_value(rule, entry) for rule in rules)), "")
            for name, rules in adapter.fields.items()
        }
        if adapter.longest is not None and len(found["input"]) > adapter.longest:
            raise _Dropped(f"longer than {adapter.longest} characters")
        # Without what is empty, so that the schema's defaults apply; an empty input
        # stays, for the schema to refuse.
        yield {name: value for name, value in found.items() if value or name == "input"}


def _entries(row: Row, column: str) -> Iterator[Row]:
    entries = row[column]
    if not isinstance(entries, list) or not entries:
        raise LDAError(
            f"column {column!r} is no list with entries: {reprlib.repr(entries)}"
        )
    for entry in entries:
        yield {**row, column: entry}


def _value(rule: Rule, row: Row) -> str:
    """What a rule finds in a row; empty if nothing."""
    if rule.constant:
        return rule.constant
    if rule.join:
        parts = [_text(column, row.get(column)) for column in rule.join]
        return rule.between.join(part for part in parts if part.strip())
    cell = row.get(rule.column)
    if rule.first_turn is not None:
        return _first_turn(rule.column, cell, rule.first_turn)
    text = _text(rule.column, cell)
    if rule.pattern:
        match = re.search(rule.pattern, text)
        text = (match[1] or "") if match else ""
    if rule.values and text:
        if text not in rule.values:
            raise LDAError(
                f"column {rule.column!r} says {text!r:.60}, the adapter knows "
                + ", ".join(rule.values)
            )
        text = rule.values[text]
    return text


def _first_turn(column: str, cell: object, turns: FirstTurn) -> str:
    """What the user says, where the user speaks first."""
    if not isinstance(cell, list):
        raise LDAError(
            f"column {column!r} holds no list of turns: {reprlib.repr(cell)}"
        )
    first = cell[0] if cell else {turns.speaker: "", turns.text: ""}
    if not isinstance(first, Mapping) or not {turns.speaker, turns.text} <= set(first):
        raise LDAError(
            f"column {column!r}: a turn needs {turns.speaker!r} and {turns.text!r}, "
            f"got {reprlib.repr(first)}"
        )
    said = _text(column, first[turns.text])
    if first[turns.speaker] not in turns.user or not said.strip():
        raise _Dropped(NO_USER_TURN)
    return said


def _text(column: str, cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    if isinstance(cell, (bool, int, float)):
        return json.dumps(cell)
    raise LDAError(f"column {column!r} holds a {type(cell).__name__}, not text")


def _judges(rows: list[Row], adapter: Adapter) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        rubrics = row.get(adapter.judges) if adapter.judges else None
        for name, text in rubrics.items() if isinstance(rubrics, Mapping) else ():
            found.setdefault(str(name), {})[_text(str(name), text)] = None
    return {name: tuple(texts) for name, texts in found.items()}
