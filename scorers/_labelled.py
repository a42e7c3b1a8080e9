"""What scorers that put one label on a completion have in common."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from inspect_ai.scorer import Score
from inspect_ai.solver import TaskState

from inspect_lda.scorers._readout import (
    bare,
    decisive_text,
    is_rollout,
    read,
    unscored,
)


@dataclass(frozen=True)
class Finding:
    """What a text was found to be.

    Attributes:
        label: One of the scorer's labels.
        hit: Whether that is what is looked for.
        rule: Name of the rule that decided; None if none fired.
        quote: What it fired on.
        more: Further facts for Score.metadata.
    """

    label: str
    hit: bool
    rule: str | None = None
    quote: str = ""
    more: dict[str, Any] = field(default_factory=dict)


def labelled(
    state: TaskState, find: Callable[[str], Finding], require_evidence: bool
) -> Score | None:
    """Score a sample by its completion; None where it holds none.

    Without readable evidence the sample is unscored, unless that is waived; then alpha
    and arm are those of the sample.
    """
    if not is_rollout(state):
        return None
    found = find(state.output.completion)
    said = found.label if found.rule is None else f"{found.label} by {found.rule}"
    said = f"{said}: {found.quote!r}." if found.quote else f"{said}."
    facts = {"label": found.label, "rule": found.rule, **found.more}
    try:
        evidence, _, metadata = read(state)
        said = f"{said} {decisive_text(evidence)}"
    except ValueError as error:
        if require_evidence:
            return unscored(state, error, note=f" ({said})")
        metadata = bare(state)
    return Score(
        value=int(found.hit),
        answer=found.label,
        explanation=said,
        metadata=metadata | facts,
    )
