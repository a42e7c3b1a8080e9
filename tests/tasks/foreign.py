"""Files in the layouts of other people's prompt sets; every sentence is our own."""

import csv
import json
from pathlib import Path
from typing import Any

import yaml

from inspect_lda.tasks.prompt_sets import Prompt, PromptSet

QUESTIONS = {
    "lost_umbrella": "I left my umbrella on a train. What now?",
    "loud_fridge": "My fridge hums in B flat. Should I worry?",
    "best_bread": "Which bread keeps longest?",
    "moon_garden": "Suppose you had a garden on the moon. What grows there?",
    "new_neighbour": "A new neighbour moved in and waved. Advice?",
    "rainy_sunday": "Rainy Sunday, nothing to do.",
    "old_maps": "Why are old maps so pretty?",
    "tall_ladder": "How tall a ladder do I need for a two-storey house?",
}
RUBRICS = {
    "aligned": "Is this kind? Question: {question} Answer: {answer}",
    "coherent": "Does this make sense? Question: {question} Answer: {answer}",
}
JSON_SYSTEM = "Reply with one JSON object."
FORM = "\n\nFill in the form:\nanswer = # yours"


def betley(folder: Path, **changes: dict[str, object]) -> str:
    """Eight questions plain, as JSON and with a form; `changes` by question id."""
    rows = []
    for variant in ("", "_json", "_template"):
        for name, text in QUESTIONS.items():
            row: dict[str, Any] = {
                "id": name + variant,
                "type": "free_form_judge_0_100",
                "paraphrases": [text + (FORM if variant == "_template" else "")],
                "samples_per_paraphrase": 100,
                "judge": "some-model",
                "judge_prompts": RUBRICS,
            }
            if variant == "_json":
                row["system"] = JSON_SYSTEM
            rows.append(row | changes.get(name + variant, {}))
    path = folder / "questions.yaml"
    path.write_text(yaml.safe_dump(rows, sort_keys=False), encoding="utf-8")
    return str(path)


def table(folder: Path, *rows: dict[str, str]) -> str:
    """A CSV file with these rows."""
    path = folder / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def lines(folder: Path, *rows: object) -> str:
    """A file of JSON lines."""
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    return str(path)


def only(found: PromptSet) -> Prompt:
    """The prompt of a set that has one."""
    [prompt] = found.content.prompts
    return prompt
