"""Importance weights: from amplified rollouts to the model's own rate.

A rollout drawn from q_alpha that the model itself would say with probability p counts
w = p / q_alpha; the mean of w over hits is the model's own rate, without bias, at every
alpha. Rollouts of several alphas are weighed by the mixture they were drawn from (the
balance heuristic, Veach and Guibas 1995), which bounds a weight by one over the share
of alpha 0. Weights are never normalised by their own sum: for a rare event that is off
by the factor of the amplification.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from inspect_lda.errors import LDAError
from inspect_lda.statistics.drawn import Cut, Floats

Weighing = Literal["importance", "mixture", "hazard", "plain"]


@dataclass(frozen=True)
class Weighed:
    """What each rollout contributes; the mean of the contributions is the rate.

    Attributes:
        method: How the rollouts were weighed.
        alphas: The alphas they were drawn at.
        log_weight: log w of each rollout, hit or not.
        contribution: w where the rollout is a hit, else 0, scaled so that every prompt
            has the same share in the mean, however many rollouts it has.
        prompt: Index of each rollout's prompt in `prompts`.
        prompts: The prompts.
    """

    method: Weighing
    alphas: tuple[float, ...]
    log_weight: Floats
    contribution: Floats
    prompt: NDArray[np.intp]
    prompts: tuple[str, ...]

    @property
    def rate(self) -> float:
        """The estimate: mean over prompts of the mean weight of hits."""
        return float(self.contribution.mean())

    @property
    def by_prompt(self) -> Floats:
        """The estimate of each prompt's own rate."""
        count = len(self.prompts)
        total = np.bincount(self.prompt, self.contribution, count)
        return total * count / len(self.contribution)


def importance(cut: Cut, alpha: float) -> Weighed:
    """Weigh the rollouts of one alpha, each with its own q.

    Args:
        cut: The rollouts; those of other alphas are left out.
        alpha: Which ones. At 0 every weight is 1: plain counting.

    Raises:
        LDAError: If no rollout was drawn at that alpha, or none for some prompt.
    """
    drawn = cut.only(alpha)
    log_weight = drawn.log_p - drawn.log_q
    return _weighed("importance" if alpha else "plain", drawn, log_weight)


def mixture(cut: Cut) -> Weighed:
    """Weigh all rollouts by the mixture of alphas that their prompt was drawn at.

    Raises:
        LDAError: If log q at some alpha was not recorded.
    """
    if not cut.pooled:
        raise LDAError(
            "log q at the other alphas of the sweep was not recorded: rollouts of "
            "different alphas cannot be pooled; run again with the evidence at all "
            "alphas, or estimate from one alpha at a time (method='importance')"
        )
    cells = np.zeros((len(cut.prompts), len(cut.alphas)))
    np.add.at(cells, (cut.prompt, cut.drawn), 1)
    with np.errstate(divide="ignore"):  # an alpha that a prompt was not drawn at
        share = np.log(cells / cells.sum(1, keepdims=True))
    log_mixture = logsumexp(cut.log_at + share[cut.prompt], axis=1)
    return _weighed("mixture", cut, cut.log_p - log_mixture)


def _weighed(method: Weighing, cut: Cut, log_weight: Floats) -> Weighed:
    count = np.bincount(cut.prompt, minlength=len(cut.prompts))
    if not count.all():
        missing = cut.prompts[int(np.argmin(count))]
        raise LDAError(
            f"prompt {missing!r} has no rollout at alpha "
            f"{', '.join(f'{alpha:g}' for alpha in cut.alphas)}: its share of the rate "
            "is unknown; leave the prompt out of the run, or sample it there"
        )
    scale = len(cut) / (len(count) * count[cut.prompt])
    contribution = np.where(cut.hit, np.exp(log_weight) * scale, 0.0)
    return Weighed(
        method, cut.alphas, log_weight, contribution, cut.prompt, cut.prompts
    )
