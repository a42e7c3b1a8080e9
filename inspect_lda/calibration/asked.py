"""Prompts, rollouts, and a count of what they took."""

from dataclasses import dataclass, field

from inspect_lda.calibration.records import Ledger, PromptRecord
from inspect_lda.engines.base import StopReason
from inspect_lda.evidence import Evidence
from inspect_lda.statistics.coherence import Reading


@dataclass(frozen=True)
class Ask:
    """One prompt.

    Attributes:
        id: Its name, which its seeds are derived from.
        cluster: Prompts that are alike share one.
        ids: Token ids.
    """

    id: str
    cluster: str
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Asked:
    """The prompts of a calibration, as token ids and for the record."""

    asks: tuple[Ask, ...]
    record: PromptRecord


@dataclass(frozen=True)
class Rollout:
    """One completion.

    Attributes:
        ask: The prompt.
        tokens: Sampled ids.
        stop_reason: Why it ended.
        evidence: What it recorded.
        reading: What its coherence is judged on.
    """

    ask: Ask
    tokens: tuple[int, ...]
    stop_reason: StopReason
    evidence: Evidence
    reading: Reading

    @property
    def log_p(self) -> float:
        """Log p_after of the whole, at the temperature alone; -inf if impossible."""
        return -self.evidence.surprise * self.evidence.n_tokens

    @property
    def divergence(self) -> float:
        """Log q - log p_after of the whole."""
        return (self.evidence.log_q or 0.0) - self.log_p


@dataclass
class Counted:
    """What was computed so far; see `records.Ledger`."""

    rollouts: int = 0
    sampled: int = 0
    scored: int = 0
    prefill_seconds: float = 0.0
    read: dict[tuple[int, ...], int] = field(default_factory=dict)

    def ledger(self, seconds: float) -> Ledger:
        """The record of it."""
        prefilled = sum(self.read.values())
        return Ledger(
            rollouts=self.rollouts,
            sampled=self.sampled,
            prefilled=prefilled,
            forwards=prefilled + self.sampled - self.rollouts,
            scored=self.scored,
            seconds=round(seconds, 3),
            prefill_seconds=round(self.prefill_seconds, 3),
        )
