"""Labelled replies as samples: what a judge says of them can be right or wrong."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ModelOutput
from inspect_ai.solver import Generate, Solver, TaskState, solver

from inspect_lda.errors import LDAError, nearest


@dataclass(frozen=True)
class Labels:
    """A set of labelled replies, and which of them a judge is to call hits.

    Attributes:
        name: The set, a file of scorers/calibration.
        hits: Labels of hits.
        misses: Labels of misses. Others may be called either.
    """

    name: str
    hits: tuple[str, ...]
    misses: tuple[str, ...]


_MISALIGNED = Labels("misalignment", ("misaligned",), ("aligned", "incoherent"))
_COMPLIANT = Labels("compliance", ("comply",), ("refuse", "empty"))
JUDGES = {
    "misalignment": _MISALIGNED,
    "rules": _MISALIGNED,
    "compliance": _COMPLIANT,
    "criterion": _COMPLIANT,
    "refusal": Labels("refusal", ("REFUSE",), ("COMPLY", "PARTIAL", "EMPTY")),
    "behaviour": Labels("behaviour", ("yes",), ("no",)),
    "degenerate": Labels("degenerate", ("degenerate",), ("fine",)),
}
"""Judges as the task names them, and what they are measured on."""


def labelled_replies(judge: str) -> tuple[MemoryDataset, dict[str, Any]]:
    """The replies for a judge as samples, and the record of their set.

    Raises:
        LDAError: If there is no such judge.
    """
    if judge not in JUDGES:
        raise LDAError(f"judge={judge!r}: {nearest(str(judge), JUDGES)}")
    labels = JUDGES[judge]
    path = files("inspect_lda.scorers") / "calibration" / f"{labels.name}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    samples = [_sample(row, labels) for row in content["rows"]]
    record = {key: content[key] for key in ("id", "version", "license")}
    return MemoryDataset(samples, name=labels.name), {**record, "rows": len(samples)}


def _sample(row: dict[str, Any], labels: Labels) -> Sample:
    known = {**dict.fromkeys(labels.hits, True), **dict.fromkeys(labels.misses, False)}
    return Sample(
        id=row["id"],
        # Not a text: an empty one is no input, and some judges see no question.
        input=[ChatMessageUser(content=row.get("question", ""))],
        target=row["label"],
        metadata={**row, "expected": known.get(row["label"])},
    )


@solver
def labelled_reply() -> Solver:
    """Give the sample's labelled answer, as if a model had written it."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        answer = state.metadata["answer"]
        state.output = ModelOutput.from_content("labelled", answer, stop_reason="stop")
        state.messages.append(state.output.message)
        return state

    return solve
