"""Rollouts as the estimators of the true rate need them.

Whoever has rollouts (a reader of logs, a simulation) makes `Rollout`s; `cut` reduces
each to what was said until its event was decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspect_lda.errors import LDAError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rollout:
    """One scored rollout with its evidence, token by token. All logarithms natural.

    Attributes:
        prompt: Which prompt it answers.
        alpha: Amplification it was drawn at.
        hit: Whether the behaviour was seen.
        log_p: log p of every token under `after`, at the sampling whose rate is asked.
        log_q: log q of every token under the distribution it was drawn from.
        also: The same at the other alphas of the sweep; with it rollouts of all alphas
            are pooled. Its own alpha and 0 need not be named.
        decided: How many tokens decided the event: behind them the scorer reads
            nothing. None where it reads the whole reply.
        first_k: Tokens that were amplified, if not all.
        lower_bound: Whether a net or a truncation kept tokens from being drawn that
            `after` may say: what is estimated of `after` is then a lower bound.
        hazard: P(the phrase comes next | what was said so far) under `after`, at every
            place, from 0, at which the reply could still have said it before it was cut
            off; teacher-forced, see `known.hazards`.
    """

    prompt: str
    alpha: float
    hit: bool
    log_p: Floats
    log_q: Floats
    also: Mapping[float, Floats] = field(default_factory=dict)
    decided: int | None = None
    first_k: int | None = None
    lower_bound: bool = False
    hazard: Floats | None = None

    def __post_init__(self) -> None:
        """Refuse evidence that cannot be.

        Raises:
            LDAError: If arrays differ in length, hold NaN or plus infinity, or if a
                token that was drawn had probability 0.
        """
        whose = f"rollout of prompt {self.prompt!r} at alpha {self.alpha:g}"
        for name, values in self._arrays():
            if values.shape != self.log_p.shape or values.ndim != 1:
                raise LDAError(
                    f"{whose}: {name} has shape {values.shape}, log_p "
                    f"{self.log_p.shape}: need one value a token"
                )
            if not np.all(values < np.inf):
                raise LDAError(
                    f"{whose}: {name} holds NaN or inf, which no log-probability is"
                )
        if not np.all(np.isfinite(self.log_q)):
            raise LDAError(
                f"{whose}: log_q is minus infinity for a token that was drawn"
            )
        if self.decided is not None and not 0 <= self.decided <= len(self.log_p):
            raise LDAError(
                f"{whose}: decided={self.decided}, need 0 to {len(self.log_p)}, the "
                "tokens of the rollout"
            )

    def _arrays(self) -> list[tuple[str, Floats]]:
        named = [(f"also[{alpha:g}]", values) for alpha, values in self.also.items()]
        return [("log_p", self.log_p), ("log_q", self.log_q), *named]

    def at(self, alpha: float) -> Floats | None:
        """Log q of every token at an alpha; None where it was not recorded."""
        if alpha == self.alpha:
            return self.log_q
        return self.log_p if alpha == 0 else self.also.get(alpha)


@dataclass(frozen=True)
class Cut:
    """Rollouts, each up to the token at which its event was decided.

    Attributes:
        prompts: The prompts.
        alphas: The alphas of the sweep, ascending.
        prompt: Index into `prompts`, one a rollout.
        drawn: Index into `alphas`: what the rollout was drawn at.
        hit: Whether the behaviour was seen.
        log_p: log p of the rollout under `after`.
        log_at: log q of the rollout at every alpha, `[rollouts, alphas]`; NaN where it
            was not recorded.
        first_k: Tokens that were amplified, if not all.
        lower: Why what is estimated of `after` is a lower bound; empty if it is not.
    """

    prompts: tuple[str, ...]
    alphas: tuple[float, ...]
    prompt: NDArray[np.intp]
    drawn: NDArray[np.intp]
    hit: NDArray[np.bool_]
    log_p: Floats
    log_at: Floats
    first_k: int | None = None
    lower: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.hit)

    @property
    def log_q(self) -> Floats:
        """Log q of each rollout at the alpha it was drawn at."""
        found: Floats = np.take_along_axis(self.log_at, self.drawn[:, None], 1)[:, 0]
        return found

    @property
    def pooled(self) -> bool:
        """Whether log q is known at all alphas of the sweep, for every rollout."""
        return not bool(np.isnan(self.log_at).any())

    def only(self, alpha: float) -> "Cut":
        """The rollouts that were drawn at one alpha.

        Raises:
            LDAError: If there are none.
        """
        if alpha not in self.alphas:
            raise LDAError(
                f"alpha={alpha:g}: no rollout was drawn there, only at "
                f"{', '.join(f'{one:g}' for one in self.alphas)}"
            )
        column = self.alphas.index(alpha)
        chosen = self.drawn == column
        return Cut(
            prompts=self.prompts,
            alphas=(alpha,),
            prompt=self.prompt[chosen],
            drawn=np.zeros(int(chosen.sum()), dtype=np.intp),
            hit=self.hit[chosen],
            log_p=self.log_p[chosen],
            log_at=self.log_at[chosen][:, [column]],
            first_k=self.first_k,
            lower=self.lower,
        )


def cut(rollouts: Sequence[Rollout]) -> Cut:
    """Sum the evidence of each rollout up to its decision.

    The weight is a martingale under q, so that for an event decided at a token the
    weight up to there is enough, and of far smaller variance. A rollout without a
    decision is summed to its end.

    Raises:
        LDAError: If there are none, or some were amplified for other numbers of tokens
            than others: their proposals are not each other's.
    """
    if not rollouts:
        raise LDAError("no rollouts: nothing to estimate a rate from")
    lengths = {one.first_k for one in rollouts if one.alpha != 0}
    if len(lengths) > 1:
        raise LDAError(
            f"first_k={', '.join(map(str, sorted(lengths, key=str)))}: rollouts that "
            "were amplified for different numbers of tokens cannot be pooled; estimate "
            "from those of one first_k at a time"
        )
    prompts = tuple(dict.fromkeys(one.prompt for one in rollouts))
    alphas = tuple(sorted({one.alpha for one in rollouts}))
    number = {prompt: i for i, prompt in enumerate(prompts)}
    return Cut(
        prompts=prompts,
        alphas=alphas,
        prompt=np.array([number[one.prompt] for one in rollouts], dtype=np.intp),
        drawn=np.array([alphas.index(one.alpha) for one in rollouts], dtype=np.intp),
        hit=np.array([one.hit for one in rollouts], dtype=np.bool_),
        log_p=np.array([one.log_p[: one.decided].sum() for one in rollouts]),
        log_at=np.array(
            [[_summed(one, alpha) for alpha in alphas] for one in rollouts]
        ),
        first_k=next(iter(lengths), None),
        lower=_lower(rollouts),
    )


def _lower(rollouts: Sequence[Rollout]) -> tuple[str, ...]:
    """Why the estimate is a lower bound."""
    reasons = []
    if any(one.lower_bound for one in rollouts):
        reasons.append(
            "a net or a truncation kept tokens from being drawn that the model may say"
        )
    # A phrase that comes late is as rare among these rollouts as among plain ones, so
    # that a run without one says nothing of it. A judged reply may turn early.
    by_token = any(one.hit and one.decided is not None for one in rollouts)
    if by_token and any(
        one.first_k is not None
        and (len(one.log_p) if one.decided is None else one.decided) > one.first_k
        for one in rollouts
    ):
        reasons.append(
            "the behaviour may begin behind the tokens that were amplified (first_k), "
            "where it is no more frequent than in plain rollouts"
        )
    return tuple(reasons)


def _summed(rollout: Rollout, alpha: float) -> float:
    values = rollout.at(alpha)
    return np.nan if values is None else float(values[: rollout.decided].sum())
