"""What a rollout records of what held it back: a support, safety nets."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class SupportEvidence(BaseModel):
    """What is known of a mixture over a part of the vocabulary.

    Where a rollout may only draw from the k most likely ids of `after` at each step,
    the other ids' share of the amplified distribution is lost.

    Attributes:
        k: Most ids a step drew from.
        exact: Whether the lost mass is exact. Otherwise, where the log-probabilities
            of the other ids are not known, it is a rigorous lower bound.
        tail_mean: Mean over steps of the mass `after` has outside the support.
        tail_max: Largest of these.
        lost_mean: Mean over steps of the amplified mass outside the support.
        lost_max: Largest of these.
        imputed_tokens: Drawn tokens whose log-probability under `before` was not
            listed and stands at its upper bound.
        imputed_mass: Mean over steps of the drawable mass of such ids.
        audits: Steps at which the whole vocabulary was looked at.
        audit_tv: Mean over audits of the total variation between the distribution
            drawn from and that of the whole vocabulary; None without audits.
        audit_tv_max: Largest of these.
        audit_lost: Mean over audits of the true lost mass.
    """

    model_config = ConfigDict(frozen=True)

    k: int
    exact: bool
    tail_mean: float
    tail_max: float
    lost_mean: float
    lost_max: float
    imputed_tokens: int = 0
    imputed_mass: float = 0.0
    audits: int = 0
    audit_tv: float | None = None
    audit_tv_max: float | None = None
    audit_lost: float | None = None


NETS = (
    "soft_threshold",
    "alpha_schedule",
    "first_k",
    "kl_gate",
    "max_kl_per_token",
    "plausibility",
)
"""Safety nets, in the order in which they act."""


class NetEvidence(BaseModel):
    """What held amplification back.

    Attributes:
        settings: The nets that were on.
        steps: On how many steps each net acted, of those that did on any.
        alpha_mean: Mean over steps of the amplification that was left.
        dropped_mean: Mean over steps of the amplified mass below the plausibility
            floor.
        lower_bound: Ids that `after` may say could not be drawn: what is estimated of
            `after` with these weights is a lower bound.
    """

    model_config = ConfigDict(frozen=True)

    settings: dict[str, Any]
    steps: dict[str, int]
    alpha_mean: float
    dropped_mean: float
    lower_bound: bool
