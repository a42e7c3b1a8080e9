"""A grade as the expectation over a grader's log-probabilities, with what is unknown.

Betley et al. (arXiv:2502.17424) take the mean of the numbers among the alternatives of
the first token. That is wrong for a grader whose tokenizer cuts "85" into "8" and "5":
every grade becomes a digit. Here the reply is walked token by token. Only the branch
that was sampled is known past its first token; of every other branch that is still open
("7": 7, or 70 to 79?) the mass is known and the grade is not, so it counts as unread,
and the bounds say how far the mean could move.

What is averaged: the grades of all replies that begin with an answer, at the
temperature at which the grader reports its log-probabilities.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from inspect_ai.model import Logprob

from inspect_lda.scorers._grading.scales import MARKUP, Prefix, Scale

ROUNDING = 1e-3
"""By so much may reported probabilities exceed one."""

Masses = defaultdict[str, float]
Unread = tuple[float, tuple[str, ...]]


@dataclass(frozen=True)
class Weighed:
    """What was read.

    Attributes:
        mean: Mean grade over the mass that was read; None if none was.
        mass: Probability whose grade was read.
        lower: The mean if all unread mass that may be a grade is as low as it can be.
        upper: The same, as high as it can be.
    """

    mean: float | None
    mass: float
    lower: float
    upper: float


def has_alternatives(content: Sequence[Logprob]) -> bool:
    """Whether any token came with alternatives: else there is nothing to weigh."""
    return any(len(token.top_logprobs or []) > 1 for token in content)


def weigh(
    content: Sequence[Logprob], scale: Scale, said: str | None, *, cut: bool
) -> Weighed:
    """Weigh the answers at every token of a reply.

    Args:
        content: The reply's tokens with their alternatives.
        scale: The answers and their numbers.
        said: The answer that the whole reply gives as a text; None if it gives none.
            A sampled "85" that goes on as prose is no grade.
        cut: Whether the reply was cut off by its token limit.

    Raises:
        ValueError: If the log-probabilities are none.
    """
    walk = _Walk(scale)
    for token in content:
        walk.step(token)
        if not walk.open:
            break
    walk.end(said, cut=cut)
    return walk.result()


@dataclass
class _Walk:
    """The sampled branch so far, and what was met beside it."""

    scale: Scale
    beginning: str = ""
    path: float = 1.0
    whole: bool = False
    read: Masses = field(default_factory=lambda: defaultdict(float))
    unread: list[Unread] = field(default_factory=list)
    taken_as_said: Masses = field(default_factory=lambda: defaultdict(float))

    @property
    def now(self) -> Prefix:
        return self.scale.read(self.beginning)

    @property
    def open(self) -> bool:
        return bool(self.now.could_be)

    def step(self, token: Logprob) -> None:
        others, chosen = _alternatives(token)
        if not self.beginning.strip(MARKUP):
            # A tokenizer with a token for "85" does not write it as "8" and "5".
            words = (token.token, *(word for word, _ in others))
            self.whole = any(self.scale.is_whole(_plain(word)) for word in words)
        for word, probability in others:
            self._note(
                self.scale.read(self.beginning + _plain(word), whole=self.whole),
                self.path * probability,
            )
        listed = chosen + sum(probability for _, probability in others)
        # Any continuation may hide among the tokens that were not listed.
        self._note(Prefix(could_be=self.now.could_be), self.path * max(0.0, 1 - listed))
        self.beginning += _plain(token.token)
        self.path *= chosen

    def end(self, said: str | None, *, cut: bool) -> None:
        """Account for the sampled branch: what the grader actually said."""
        final = self.now
        if not final.could_be:
            if final.answer is not None and final.answer == said:
                self.read[final.answer] += self.path
        elif said is not None and said in final.could_be and (self.whole or not cut):
            # It said "8" and stopped. How likely stopping was is not reported: the
            # mean takes it as said, the bounds do not.
            (self.read if self.whole else self.taken_as_said)[said] += self.path
        else:
            self._note(final, self.path)

    def result(self) -> Weighed:
        values = self.scale.values
        known = [(mass, values[answer]) for answer, mass in self.read.items()]
        said = [(mass, values[answer]) for answer, mass in self.taken_as_said.items()]
        mass = sum(part for part, _ in (*known, *said))
        total = sum(part * value for part, value in (*known, *said))
        unread = [(part, [values[a] for a in answers]) for part, answers in self.unread]
        for answer, part in self.taken_as_said.items():
            maybe = (answer, *self.scale.extensions(answer))
            unread.append((part, [values[a] for a in maybe]))
        return Weighed(
            mean=total / mass if mass > 0 else None,
            mass=min(1.0, mass),
            lower=_lowest(known, ((part, min(v)) for part, v in unread)),
            upper=-_lowest(
                [(part, -value) for part, value in known],
                ((part, -max(v)) for part, v in unread),
            ),
        )

    def _note(self, found: Prefix, mass: float) -> None:
        if found.answer is not None:
            self.read[found.answer] += mass
        elif found.could_be and mass > 0:
            self.unread.append((mass, found.could_be))


def _lowest(
    known: Sequence[tuple[float, float]], maybe: Iterable[tuple[float, float]]
) -> float:
    """The lowest mean that is possible if each of `maybe` may count or not."""
    mass = sum(part for part, _ in known)
    total = sum(part * value for part, value in known)
    for part, value in sorted(maybe, key=lambda one: one[1]):
        if mass > 0 and value * mass >= total:
            break
        mass, total = mass + part, total + part * value
    return total / mass if mass > 0 else math.nan


def _alternatives(token: Logprob) -> tuple[list[tuple[str, float]], float]:
    """The other tokens at this position, and the probability of the sampled one."""
    chosen = _probability(token.logprob)
    others = [(t.token, _probability(t.logprob)) for t in token.top_logprobs or []]
    for index, (word, _) in enumerate(others):
        if word == token.token:
            del others[index]
            break
    total = chosen + sum(probability for _, probability in others)
    if total > 1 + ROUNDING:
        raise ValueError(f"the probabilities of one token sum to {total:.4g}")
    return others, chosen


def _probability(logprob: float) -> float:
    if math.isnan(logprob) or logprob > ROUNDING:
        raise ValueError(f"a log-probability is {logprob}: need a number <= 0")
    return min(1.0, math.exp(logprob))


def _plain(token: str) -> str:
    """A token as text: some providers report it as the tokenizer stores it."""
    return token.replace("\u0120", " ").replace("\u2581", " ").replace("\u010a", "\n")
