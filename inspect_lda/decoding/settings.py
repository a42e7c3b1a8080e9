"""How a token is drawn, as one request asks for it; no torch here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn from the amplified distribution.

    Attributes:
        temperature: 0 is argmax.
        top_k: Keep the k most likely tokens; 0 keeps all.
        top_p: Keep the smallest set with at least this mass; 1 keeps all.
        min_p: Drop tokens below this share of the most likely one; 0 keeps all.
        seed: Seed of this request's own random stream, 0 <= seed < 2**63.
        frequency_penalty: Subtracted once per earlier occurrence in the completion.
        presence_penalty: Subtracted once if the token occurred in the completion.
        logit_bias: Token id to additive bias.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    def edits(self) -> dict[str, Any]:
        """Those settings that are on, temperature and seed aside."""
        neutral = Sampling(self.temperature, seed=self.seed)
        return {
            key: dict(value) if isinstance(value, Mapping) else value
            for key, value in vars(self).items()
            if value != getattr(neutral, key)
        }


@dataclass(frozen=True)
class Nets:
    """Safety nets: how amplification is held back; neutral by default.

    Each weakens the push from a checkpoint towards what amplification makes of it. That
    checkpoint is `after`, and for alpha < -1, where the pair is the swapped pair at
    -1 - alpha, it is `before`. At alpha 0 and -1 there is no push: no net acts there.

    Attributes:
        max_kl_per_token: Most nats a step may move: its push is scaled down until
            KL(amplified || checkpoint) is within; infinity lets all pass.
        soft_threshold: Differences of log-probabilities are drawn this many nats
            towards 0; 0 leaves them.
        kl_gate: Steps at which KL(checkpoint || other) is at most this are not
            amplified; 0 amplifies all.
        plausibility: In amplified steps, ids below this share of the checkpoint's most
            likely one are not drawn; 0 keeps all.
        first_k: Only so many tokens are amplified; 0 is all.
        alpha_schedule: (position, factor of alpha) from that token on; positions ascend
            from 0, factors 0 to 1; empty is 1 everywhere.
    """

    max_kl_per_token: float = math.inf
    soft_threshold: float = 0.0
    kl_gate: float = 0.0
    plausibility: float = 0.0
    first_k: int = 0
    alpha_schedule: tuple[tuple[int, float], ...] = ()

    def factor(self, step: int) -> float:
        """The schedule's factor at a position, 0 being the first token's."""
        reached = [factor for start, factor in self.alpha_schedule if start <= step]
        return reached[-1] if reached else 1.0

    def settings(self) -> dict[str, float | tuple[tuple[int, float], ...]]:
        """Those nets that are on, by name."""
        neutral = {field.name: field.default for field in fields(self)}
        return {
            key: value for key, value in vars(self).items() if value != neutral[key]
        }


NO_NETS = Nets()
"""Holds nothing back."""
