"""Scorers for amplified rollouts, installed as `inspect_lda.scorers`."""

from inspect_lda.scorers._grading.metrics import (
    graded_means,
    hit_origins,
    rate_among_coherent,
)
from inspect_lda.scorers._grading.roles import graders_ready
from inspect_lda.scorers.behaviour_judge import behaviour_judge
from inspect_lda.scorers.breakdown import by, paired_difference, prompt_rate
from inspect_lda.scorers.calibrated import calibrated, judged
from inspect_lda.scorers.compliance import compliance
from inspect_lda.scorers.condition import condition
from inspect_lda.scorers.degenerate import degenerate
from inspect_lda.scorers.divergence import amplification_kl, divergence
from inspect_lda.scorers.exact_logprob import exact_logprob
from inspect_lda.scorers.likelihood_coherence import likelihood_coherence
from inspect_lda.scorers.metrics import coherent_share, detection_rate, exact_rate
from inspect_lda.scorers.misalignment import misalignment
from inspect_lda.scorers.parts import (
    by_category,
    by_prompt,
    by_variant,
    constrained_vs_plain,
)
from inspect_lda.scorers.path_rank import path_magnitude, path_rank
from inspect_lda.scorers.payload_behind import candidate_effect, payload_behind
from inspect_lda.scorers.phrase import phrase
from inspect_lda.scorers.refusal import refusal
from inspect_lda.scorers.rule_judge import rule_judge
from inspect_lda.scorers.shares import shares
from inspect_lda.scorers.trigger_lift import ngram_lift, trigger_lift
from inspect_lda.scorers.true_rate import true_rate
from inspect_lda.scorers.verdict import finding, verdict

__all__ = [
    "amplification_kl",
    "behaviour_judge",
    "by",
    "by_category",
    "by_prompt",
    "by_variant",
    "calibrated",
    "candidate_effect",
    "coherent_share",
    "compliance",
    "condition",
    "constrained_vs_plain",
    "degenerate",
    "detection_rate",
    "divergence",
    "exact_logprob",
    "exact_rate",
    "finding",
    "graded_means",
    "graders_ready",
    "hit_origins",
    "judged",
    "likelihood_coherence",
    "misalignment",
    "ngram_lift",
    "paired_difference",
    "path_magnitude",
    "path_rank",
    "payload_behind",
    "phrase",
    "prompt_rate",
    "rate_among_coherent",
    "refusal",
    "rule_judge",
    "shares",
    "trigger_lift",
    "true_rate",
    "verdict",
]
