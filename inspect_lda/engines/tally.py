"""What a row with a support learns of the rest of the vocabulary, step by step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspect_lda.evidence import SupportEvidence


@dataclass
class SupportTally:
    """Collects what becomes a `SupportEvidence`; lists hold one value a step.

    An engine that sees the whole vocabulary leaves all but `tail` and `lost` alone.

    Attributes:
        k: Most ids a step draws from.
        exact: Whether `lost` is exact; otherwise it is a lower bound.
        tail: Mass of `after` outside the support.
        lost: Amplified mass outside the support.
        imputed_tokens: Drawn tokens with an imputed log-probability under `before`.
        imputed_mass: Drawable mass of such ids; empty where nothing is imputed.
        audit_tv: Total variation, one value an audit.
        audit_lost: True lost mass, one value an audit.
    """

    k: int
    exact: bool = True
    tail: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    imputed_tokens: int = 0
    imputed_mass: list[float] = field(default_factory=list)
    audit_tv: list[float] = field(default_factory=list)
    audit_lost: list[float] = field(default_factory=list)

    def evidence(self) -> SupportEvidence:
        """What goes into the log."""
        audited = bool(self.audit_tv)
        return SupportEvidence(
            k=self.k,
            exact=self.exact,
            tail_mean=_mean(self.tail),
            tail_max=max(self.tail, default=0.0),
            lost_mean=_mean(self.lost),
            lost_max=max(self.lost, default=0.0),
            imputed_tokens=self.imputed_tokens,
            imputed_mass=_mean(self.imputed_mass),
            audits=len(self.audit_tv),
            audit_tv=_mean(self.audit_tv) if audited else None,
            audit_tv_max=max(self.audit_tv, default=None),
            audit_lost=_mean(self.audit_lost) if audited else None,
        )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
