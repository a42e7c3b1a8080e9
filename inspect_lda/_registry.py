"""What Inspect discovers; loaded for every eval of every model, so nothing heavy."""

from inspect_ai.model import ModelAPI, modelapi

from inspect_lda import scorers, tasks

__all__ = ["lda", "scorers", "tasks"]


@modelapi(name="lda")
def lda() -> type[ModelAPI]:
    """The provider behind `--model lda/<after>`."""
    from inspect_lda.provider import LDAModelAPI

    return LDAModelAPI
