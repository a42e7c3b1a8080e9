"""Toy language models whose rate of a behaviour is known exactly.

A toy is a Markov chain of tokens for every prompt, with a counter that watches for the
behaviour: the probability of a hit, at any alpha and over whole replies, is a sum that
dynamic programming does without error. Four kinds of behaviour, each tuned to a rate:

- early: a reply starts with a string; decided there;
- turn: the same, but a judge reads it all;
- anywhere: a phrase comes up somewhere; decided when it does;
- diffuse: a reply holds many words of a kind; a judge reads it all.

`before` differs from `after` by what training put in (`LIFT`) and by noise on every
token, of which `noise` is the variance summed over a reply: the louder, the heavier the
tails of the weights.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp

Kind = Literal["early", "turn", "anywhere", "diffuse"]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

VOCABULARY = 24
PROMPTS = 10
LENGTH: dict[Kind, int] = {"early": 12, "turn": 40, "anywhere": 40, "diffuse": 40}
UNEQUAL: dict[Kind, float] = {
    "early": 1.0,
    "turn": 1.0,
    "anywhere": 1.0,
    "diffuse": 0.05,
}
"""Standard deviation over prompts of the log odds of the behaviour's tokens."""
PHRASE = 3
"""Tokens of the string or phrase; they are 0, 1, 2."""
LIFTS: dict[Kind, tuple[float, ...]] = {
    "early": (4.5, 1.0, 1.0),
    "turn": (4.5, 1.0, 1.0),
    "anywhere": (2.4, 0.8, 0.8),
    "diffuse": (0.35,),
}
"""Nats that training added to each token of the phrase, or to each word of the kind."""
WORDS = 6
"""Words of the kind that the diffuse behaviour uses."""
MANY = 24
"""How many of them in a reply are a hit."""


@dataclass(frozen=True)
class Toy:
    """A chain of tokens with states, and what counts towards a hit.

    Attributes:
        kind: Of behaviour.
        log_after: Log-probability of each token in each state, `[states, tokens]`.
        delta: log after - log before, up to a constant a state.
        follow: The state after each token in each state.
        counts: Whether each token counts in each state.
        many: How many such tokens are a hit.
        starts: The state that each prompt leaves the model in.
    """

    kind: Kind
    log_after: Floats
    delta: Floats
    follow: Ints
    counts: NDArray[np.bool_]
    many: int
    starts: Ints

    @property
    def length(self) -> int:
        """Tokens of a reply."""
        return LENGTH[self.kind]

    @property
    def stops(self) -> bool:
        """Whether a hit is decided at its last token, or only by the whole reply."""
        return self.kind in ("early", "anywhere")

    def amplified(self, alpha: float) -> Floats:
        """Log-probabilities of the amplified chain."""
        raised = self.log_after + alpha * self.delta
        return np.asarray(raised - logsumexp(raised, axis=1, keepdims=True))

    def rates(self, alpha: float = 0.0, first_k: int | None = None) -> Floats:
        """P(hit) after each prompt, exactly."""
        plain, raised = self._steps(0.0), self._steps(alpha)
        ahead = np.zeros((len(self.follow), self.many + 1))
        ahead[:, self.many] = 1.0
        for position in reversed(range(self.length)):
            late = first_k is not None and position >= first_k
            stay, count = plain if late else raised
            more = np.hstack([ahead[:, 1:], ahead[:, -1:]])
            ahead = stay @ ahead + count @ more
        return np.asarray(ahead[self.starts, 0])

    def _steps(self, alpha: float) -> tuple[Floats, Floats]:
        """Probability of each state after each: by tokens that count not, and do."""
        q = np.exp(self.amplified(alpha))
        here = np.broadcast_to(np.arange(len(q))[:, None], q.shape)
        both = []
        for chosen in (~self.counts, self.counts):
            matrix = np.zeros((len(q), len(q)))
            np.add.at(matrix, (here[chosen], self.follow[chosen]), q[chosen])
            both.append(matrix)
        return both[0], both[1]


def tuned(kind: Kind, rate: float, noise: float, seed: int = 0) -> Toy:
    """The toy of a kind whose mean rate over its prompts is the wanted one."""

    def excess(propensity: float) -> float:
        return float(np.log(_toy(kind, propensity, noise, seed).rates().mean() / rate))

    return _toy(kind, brentq(excess, -16.0, 3.0, xtol=1e-9), noise, seed)


def _toy(kind: Kind, propensity: float, noise: float, seed: int) -> Toy:
    rng = np.random.default_rng(seed)
    words = rng.normal(0.0, 1.0, (VOCABULARY, VOCABULARY))
    first = rng.normal(0.0, 1.0, (PROMPTS, 1, VOCABULARY))
    # States of a prompt: one a last token, its start, and two inside the phrase.
    inside = np.broadcast_to(words[: PHRASE - 1], (PROMPTS, PHRASE - 1, VOCABULARY))
    spoken = np.broadcast_to(words, (PROMPTS, *words.shape))
    logits = np.concatenate([spoken, first, inside], axis=1)
    delta = rng.normal(0.0, np.sqrt(noise / LENGTH[kind]), logits.shape)
    uneven = propensity + UNEQUAL[kind] * rng.standard_normal((PROMPTS, 1))
    follow, counts = _automaton(kind)
    states = logits.shape[1]
    if kind == "diffuse":
        logits[:, :, :WORDS] += uneven[:, :, None]
        delta[:, :, :WORDS] += LIFTS[kind][0]
    else:
        start = slice(VOCABULARY, VOCABULARY + 1)
        begins = slice(None) if kind == "anywhere" else start
        logits[:, begins, 0] = uneven
        delta[:, begins, 0] += LIFTS[kind][0]
        for step in range(1, PHRASE):
            logits[:, VOCABULARY + step, step] = 4.0
            delta[:, VOCABULARY + step, step] += LIFTS[kind][step]
    offset = states * np.arange(PROMPTS)
    flat = logits.reshape(-1, VOCABULARY)
    return Toy(
        kind,
        flat - logsumexp(flat, axis=1, keepdims=True),
        delta.reshape(-1, VOCABULARY),
        (follow + offset[:, None, None]).reshape(-1, VOCABULARY),
        np.tile(counts, (PROMPTS, 1)),
        MANY if kind == "diffuse" else 1,
        offset + VOCABULARY,
    )


def _automaton(kind: Kind) -> tuple[Ints, NDArray[np.bool_]]:
    """For one prompt: the state after each token in each state, and what counts."""
    states = VOCABULARY + PHRASE
    follow = np.tile(np.arange(VOCABULARY), (states, 1))
    counts = np.zeros((states, VOCABULARY), dtype=np.bool_)
    if kind == "diffuse":
        counts[:, :WORDS] = True
        return follow, counts
    if kind == "anywhere":
        follow[:, 0] = VOCABULARY + 1
    follow[VOCABULARY, 0] = VOCABULARY + 1
    follow[VOCABULARY + 1, 1] = VOCABULARY + 2
    counts[VOCABULARY + 2, 2] = True
    return follow, counts
