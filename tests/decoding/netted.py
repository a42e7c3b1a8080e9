"""A batch of steps with safety nets, for the tests of what they do."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from inspect_lda.decoding.batch import Settings
from inspect_lda.decoding.known import KnownIds
from inspect_lda.decoding.nets import NetRows, Netted
from inspect_lda.decoding.placebo import placebo_order
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.settings import Nets, Sampling
from inspect_lda.decoding.step import Asked, Step, Stepper
from inspect_lda.evidence import NETS
from tests.decoding.test_step import CPU

V = 500
EVERY = {
    "soft_threshold": Nets(soft_threshold=0.7),
    "alpha_schedule": Nets(alpha_schedule=((0, 0.5), (3, 0.0), (4, 1.0))),
    "first_k": Nets(first_k=2),
    "kl_gate": Nets(kl_gate=0.45),
    "max_kl_per_token": Nets(max_kl_per_token=0.3),
    "plausibility": Nets(plausibility=0.05),
    "all": Nets(0.2, 0.3, 0.2, 0.01, 4, ((0, 0.9),)),
}
ALPHAS = (1.0, -0.6, 3.0, -2.5, 12.0, 0.3, 0.0, -1.0)
TEMPERATURES = (1.0, 0.6, 1.4, 1.0, 1.0, 0.7, 0.8, 1.3)


def logits() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(8)
    after = 3 * torch.randn(len(ALPHAS), V, generator=generator)
    difference = torch.randn(after.shape, generator=generator)
    apart = torch.linspace(0.4, 1.2, len(ALPHAS)).unsqueeze(-1)
    return after, after + apart * difference + 5


def stepper(
    nets: Sequence[Nets],
    *,
    alphas: Sequence[float] = ALPHAS,
    at: int = 0,
    careful: bool = False,
    support: int = 0,
    placebos: bool = False,
    top: int = 0,
    strangers: bool = False,
) -> Stepper:
    rules = [Sampling(temperature=t) for t in TEMPERATURES]
    settings = Settings.of(rules, alphas, CPU, [support] * len(rules))
    rows = [
        Netted(row, net, alpha, at, placebos)
        for row, (net, alpha) in enumerate(zip(nets, alphas, strict=True))
    ]
    orders = [
        (row, placebo_order(3, row, V - strangers))
        for row in range(8 if placebos else 0)
    ]
    asked = Asked(
        settings,
        (),
        torch.linspace(0.05, 0.95, len(rules), dtype=torch.float64),
        top,
        orders,
        nets=NetRows.of(rows, CPU),
    )
    allowed, shared = torch.ones(2, V, dtype=torch.bool)
    if strangers:
        allowed[[7, V - 1]] = False
        shared[[7, 20, V - 3, V - 2, V - 1]] = False
    known = KnownIds(allowed, shared)
    return Stepper(known, asked, Scratch.of(len(rules), known.width, CPU), careful)


def take(nets: Nets, side: tuple[Tensor, Tensor] | None = None, **how: Any) -> Step:
    made = stepper([nets] * len(ALPHAS), **how)
    return made(*(side or logits()))


def by_id(step: Step, row: int) -> Tensor:
    """The log-probability of every id, of a step that reported all of them."""
    log_q = torch.empty(V, dtype=torch.float64)
    log_q[step.ids[row, 1:]] = step.log_q[row, 1:].double()
    return log_q


def names(bits: float) -> list[str]:
    return [name for i, name in enumerate(NETS) if int(bits) >> i & 1]
