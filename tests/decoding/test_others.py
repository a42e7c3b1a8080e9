"""Drawn tokens at other alphas: what a step there says of the same tokens."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from inspect_lda.decoding.asked import Other
from inspect_lda.decoding.batch import Edit, Settings
from inspect_lda.decoding.known import KnownIds
from inspect_lda.decoding.nets import NetRows, Netted
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.settings import NO_NETS, Nets, Sampling
from inspect_lda.decoding.step import Asked, Step, Stepper
from tests.decoding.test_step import COUNTS, CPU, EVERYTHING, PLAIN, RULES, V, logits

ALPHAS = (0.0, -1.0, 1.0, 3.0, -0.5, 0.3, 1.0)
OTHERS = (0.5, 2.0, -2.0, 1.0)
NETS = (
    Nets(max_kl_per_token=0.2),
    Nets(soft_threshold=0.6),
    Nets(kl_gate=0.1, max_kl_per_token=0.5),
    Nets(plausibility=0.05),
    NO_NETS,
    Nets(first_k=2),
    Nets(alpha_schedule=((0, 0.5),)),
)
KNOWN_RULES = tuple(replace(rule, logit_bias={40: 3.0}) for rule in RULES)
"""A bias falls on ids that the tokenizer knows."""
SHORT: dict[str, Any] = {"pair": logits(V - 6), "rules": KNOWN_RULES}
SUPPORTS = (0, 12, 0, 30, 5, 0, 12)


def nets_at(alphas: Sequence[float], nets: Sequence[Nets], step: int = 2) -> Any:
    rows = [
        Netted(i, net, alpha, step)
        for i, (alpha, net) in enumerate(zip(alphas, nets, strict=True))
        if net != NO_NETS
    ]
    return NetRows.of(rows, CPU) if rows else None


def take(
    alphas: Sequence[float],
    others: Sequence[float] = (),
    rules: Sequence[Sampling] = RULES,
    *,
    pair: tuple[Tensor, Tensor] | None = None,
    supports: Sequence[int] = (0,) * len(RULES),
    nets: Sequence[Nets] = (NO_NETS,) * len(RULES),
    masks: tuple[Tensor, Tensor] = (EVERYTHING, EVERYTHING),
    drawn: Tensor | None = None,
    careful: bool = False,
) -> Step:
    """A step; `drawn` tokens stand for what would be drawn."""
    settings = Settings.of(rules, alphas, CPU, supports)
    known = KnownIds(*masks)
    asked = Asked(
        settings=settings,
        edits=[Edit.of(row, rules[row], COUNTS, CPU) for row in settings.edits],
        uniforms=torch.linspace(0.1, 0.9, len(rules), dtype=torch.float64),
        top=0,
        choose=None if drawn is None else (lambda _: drawn),
        nets=nets_at(alphas, nets),
        others=[
            Other(
                torch.full((len(rules), 1), alpha),
                nets_at([alpha] * len(rules), nets),
            )
            for alpha in others
        ],
    )
    scratch = Scratch.of(len(rules), known.width, CPU)
    return Stepper(known, asked, scratch, careful)(*(pair or logits()))


def strangers() -> tuple[Tensor, Tensor]:
    allowed, shared = EVERYTHING.clone(), EVERYTHING.clone()
    allowed[[30, V - 1]] = False
    shared[[30, 40, *range(V - 6, V)]] = False
    return allowed, shared


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"rules": PLAIN},
        {"supports": SUPPORTS},
        {"nets": NETS},
        {"nets": NETS, "supports": SUPPORTS},
        {"masks": strangers(), **SHORT},
        {"masks": strangers(), **SHORT, "nets": NETS},
    ],
)
def test_what_a_step_at_that_alpha_says_bit_for_bit(
    how: dict[str, Any], careful: bool
) -> None:
    step = take(ALPHAS, OTHERS, careful=careful, **how)
    token = step.ids[:, 0]
    alone = take(ALPHAS, careful=careful, **how)
    assert alone.others.shape == (len(RULES), 0)
    for got, expected in zip(step[:5], alone[:5], strict=True):
        if isinstance(got, Tensor) and isinstance(expected, Tensor):
            assert torch.equal(got, expected), "measuring changes nothing else"
    assert torch.equal(torch.cat(step.evidence), torch.cat(alone.evidence))
    for column, alpha in enumerate(OTHERS):
        there = take([alpha] * len(RULES), drawn=token, careful=careful, **how)
        assert torch.equal(step.others[:, column], there.log_q[:, 0]), alpha
    assert len({*step.others.flatten().tolist()}) > len(RULES)


def test_an_alpha_that_leaves_nothing_says_so_and_spoils_no_row() -> None:
    after, before = logits()
    before = before.clone()
    before[0] = -math.inf
    before[0, 7] = 0.0
    rules = [replace(PLAIN[1], temperature=1.0)] * len(RULES)
    pair = (after, before)
    supports = [3] * len(RULES)
    step = take([1.0] * len(RULES), [-0.5], rules, pair=pair, supports=supports)
    assert bool(step.others[0].isnan())
    careful = take(
        [1.0] * len(RULES), [-0.5], rules, pair=pair, supports=supports, careful=True
    )
    assert careful.others[0] == -math.inf
    assert not careful.others.isnan().any()
    assert not torch.cat(careful.evidence).isnan().any()
