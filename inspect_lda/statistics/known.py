"""What teacher forcing knows of a known string, without weights."""

from collections.abc import Mapping, Sequence

import numpy as np

from inspect_lda.errors import LDAError
from inspect_lda.statistics.drawn import Floats, Rollout
from inspect_lda.statistics.weights import Weighed


def known_start(log_prob: Mapping[str, float]) -> Floats:
    """P(a reply starts with a known string) of each prompt, exactly.

    Args:
        log_prob: log P(the string | prompt) under `after`, by prompt.

    Raises:
        LDAError: If there is none, or one that is no log-probability.
    """
    if not log_prob:
        raise LDAError("no prompt with a known probability: nothing to average")
    for prompt, value in log_prob.items():
        if not value <= 1e-6:
            raise LDAError(f"log P={value} of prompt {prompt!r}: need a number <= 0")
    values: Floats = np.array(list(log_prob.values()), dtype=np.float64)
    return np.asarray(np.exp(np.minimum(values, 0.0)))


def hazards(rollouts: Sequence[Rollout], phrase: int) -> Weighed:
    """P(a reply holds a phrase): its probability at every place of plain rollouts.

    A reply holds a phrase if it begins somewhere for the first time. Along a reply of
    the model itself the probabilities that it begins here, given all before, sum to
    an unbiased estimate, of which the hits themselves are the noisy version. A phrase
    that can overlap itself ("ha ha ha") may count twice, which makes it too large.

    Args:
        rollouts: Rollouts; only those at alpha 0 are used. Places behind
            the first occurrence (`decided`), or too late for it to end, do not count.
        phrase: Its tokens.

    Raises:
        LDAError: If there is no rollout at alpha 0, or one without `hazard`.
    """
    plain = [one for one in rollouts if one.alpha == 0]
    if not plain or any(one.hazard is None for one in plain):
        raise LDAError(
            "hazard of a phrase: needs rollouts at alpha 0, each with P(phrase | what "
            "was said so far) before every token; score the phrase along them"
        )
    names = list(dict.fromkeys(one.prompt for one in plain))
    prompt = np.array([names.index(one.prompt) for one in plain], dtype=np.intp)
    count = np.bincount(prompt)
    total = np.array([_along(one, phrase) for one in plain])
    return Weighed(
        "hazard",
        (0.0,),
        np.zeros(len(plain)),
        total * len(plain) / (len(names) * count[prompt]),
        prompt,
        tuple(names),
    )


def _along(rollout: Rollout, phrase: int) -> float:
    if rollout.hazard is None:  # pragma: no cover - `hazards` has looked
        raise LDAError("hazard of a phrase: not recorded")
    last = len(rollout.hazard)
    if rollout.hit and rollout.decided is not None:
        last = rollout.decided - phrase + 1  # the place where it did begin counts
    return float(rollout.hazard[:last].sum())
