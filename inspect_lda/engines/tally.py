"""What a row with a support or with nets records, step by step."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspect_lda.decoding.settings import Nets
from inspect_lda.evidence import NETS, NetEvidence, SupportEvidence


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


@dataclass
class NetTally:
    """Collects what becomes a `NetEvidence`; lists hold one value a step.

    Attributes:
        nets: The nets.
        alpha: Amplification that was left.
        dropped: Amplified mass below the floor.
        steps: How often each net acted.
    """

    nets: Nets
    alpha: list[float] = field(default_factory=list)
    dropped: list[float] = field(default_factory=list)
    steps: Counter[str] = field(default_factory=Counter)

    def add(self, alpha: float, acted: float, dropped: float) -> None:
        """Record a step; the values of a `decoding.measure.StepEvidence`."""
        self.alpha.append(alpha)
        self.dropped.append(dropped)
        bits = int(acted)
        self.steps.update(name for i, name in enumerate(NETS) if bits >> i & 1)

    def evidence(self) -> NetEvidence:
        """What goes into the log."""
        return NetEvidence(
            settings=self.nets.settings(),
            steps={name: self.steps[name] for name in NETS if self.steps[name]},
            alpha_mean=_mean(self.alpha),
            dropped_mean=_mean(self.dropped),
            lower_bound=self.nets.plausibility > 0,
        )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
