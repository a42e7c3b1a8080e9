"""Plain rollouts of a toy, with the probability of the phrase at every place."""

import numpy as np

from benchmarks.toys import PHRASE, PROMPTS, Floats, Toy
from inspect_lda.statistics.drawn import Rollout


def plain_rollouts(toy: Toy, each: int, rng: np.random.Generator) -> list[Rollout]:
    """Draw rollouts at alpha 0 of the toy "anywhere"; that many of each prompt."""
    prompt = np.repeat(np.arange(PROMPTS), each)
    state = toy.starts[prompt]
    log_p = np.zeros((len(prompt), toy.length))
    hazard = np.zeros((len(prompt), toy.length - PHRASE + 1))
    decided = np.full(len(prompt), -1)
    cdf = np.exp(toy.log_after).cumsum(axis=1)
    said = np.exp(_said(toy))
    for place in range(toy.length):
        if place < hazard.shape[1]:
            hazard[:, place] = said[state]
        below = (cdf[state] < rng.random(len(state))[:, None]).sum(1)
        token = np.minimum(below, cdf.shape[1] - 1)
        log_p[:, place] = toy.log_after[state, token]
        decided[(decided < 0) & toy.counts[state, token]] = place + 1
        state = toy.follow[state, token]
    return [
        Rollout(
            prompt=str(prompt[i]),
            alpha=0.0,
            hit=bool(decided[i] >= 0),
            log_p=log_p[i],
            log_q=log_p[i],
            decided=int(decided[i]) if decided[i] >= 0 else None,
            hazard=hazard[i],
        )
        for i in range(len(prompt))
    ]


def _said(toy: Toy) -> Floats:
    """Log P(the phrase comes next), in every state."""
    total = np.zeros(len(toy.log_after))
    state = np.arange(len(total))
    for token in range(PHRASE):
        total += toy.log_after[state, token]
        state = toy.follow[state, token]
    return total
