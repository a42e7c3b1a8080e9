"""How a token is drawn, as one request asks for it; no torch here."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
