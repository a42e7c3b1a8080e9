"""docs/judges.md says what the rules do today."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.judges import PAIRS, rows, share

DOC = Path(__file__).parents[2] / "docs" / "judges.md"


def verdicts(calibration: str, half: str) -> list[tuple[str, str]]:
    [make] = [made for _, name, made in PAIRS if name == calibration]
    find = make()
    return [
        (str(row["label"]).lower(), find(row["answer"]).lower())
        for row in rows(calibration, half)
    ]


@pytest.mark.parametrize("name", [name for _, name, _ in PAIRS])
def test_figures_of_the_unread_half(name: str) -> None:
    doc = DOC.read_text(encoding="utf-8")
    pairs = verdicts(name, "unread")
    right = Counter(label for label, said in pairs if label == said)
    assert share(right.total(), len(pairs)) in doc
    if name == "compliance":
        return
    given = Counter(label for label, _ in pairs)
    called = Counter(said for _, said in pairs)
    for label in called:
        assert f"| {share(right[label], given[label])} |" in doc, label
        assert f"| {share(right[label], called[label])} |" in doc, label


@pytest.mark.parametrize(
    ("judge", "name"),
    [
        ("refusal", "refusal"),
        ("degenerate", "degenerate"),
        ("rule_judge", "misalignment"),
    ],
)
def test_what_looking_did(judge: str, name: str) -> None:
    pairs = verdicts(name, "read")
    right = sum(label == said for label, said in pairs)
    [line] = [
        line
        for line in DOC.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| {judge}, {name}.yaml |")
    ]
    assert f"| {right}/{len(pairs)} |" in line


def test_halves_share_no_row_and_miss_none() -> None:
    for _, name, _ in PAIRS:
        halves = [
            {row["id"] for row in rows(name, half)} for half in ("read", "unread")
        ]
        assert halves[0] & halves[1] == set()
        assert halves[0] | halves[1] == {row["id"] for row in rows(name, "all")}
        assert abs(len(halves[0]) - len(halves[1])) <= 4
