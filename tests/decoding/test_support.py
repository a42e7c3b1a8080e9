"""Drawing from the ids most likely under `after`: what is drawn, kept and counted."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.profiler import profile

from inspect_lda.decoding import distribution, truncate
from inspect_lda.decoding.batch import Edit, Settings
from inspect_lda.decoding.known import KnownIds
from inspect_lda.decoding.measure import is_sound
from inspect_lda.decoding.placebo import placebo_order
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.settings import Sampling
from inspect_lda.decoding.step import Asked, Choose, Step, Stepper
from tests.decoding.test_step import (
    ALPHAS,
    COUNTS,
    CPU,
    RULES,
    V,
    alike,
    defined_log,
    logits,
    table,
)

SIZES = (20, 1, 0, 100, 7, 10**12, 40)


def stepper(
    sizes: Sequence[int] = SIZES,
    *,
    width: int = V,
    careful: bool = False,
    drawable: Tensor | None = None,
    choose: Choose | None = None,
    placebos: bool = False,
    top: int = 0,
) -> Stepper:
    settings = Settings.of(RULES, ALPHAS, CPU, sizes)
    edits = [Edit.of(row, RULES[row], COUNTS, CPU) for row in settings.edits]
    orders = [(i, placebo_order(9, i, width)) for i in range(7)] if placebos else []
    known = KnownIds(*torch.ones(2, width, dtype=torch.bool))
    uniforms = torch.linspace(0.1, 0.9, len(RULES), dtype=torch.float64)
    asked = Asked(settings, edits, uniforms, top, orders, drawable, choose)
    return Stepper(known, asked, Scratch.of(len(RULES), width, CPU), careful)


def inside(after: Tensor, size: int) -> Tensor:
    """`[V]` bool: the ids of the support, by a sort."""
    if not 0 < size < len(after):
        return torch.ones(len(after), dtype=torch.bool)
    return after >= after.sort(descending=True).values[size - 1]


def hidden(row: Tensor, support: Tensor) -> Tensor:
    return row.double().masked_fill(~support, -math.inf)


def test_every_distribution_is_cut_to_the_support_first() -> None:
    after, before = logits()
    step = stepper(top=3)(after, before)
    for i, (alpha, rule) in enumerate(zip(ALPHAS, RULES, strict=True)):
        support = inside(after[i], SIZES[i])
        mixed = after[i].double() + alpha * (after[i].double() - before[i].double())
        for got, row in (
            (step.log_q, mixed),
            (step.log_p_after, after[i]),
            (step.log_p_before, before[i]),
        ):
            expected = defined_log(hidden(row, support), rule)[step.ids[i]]
            assert torch.allclose(got[i].double(), expected, atol=2e-5), rule
        plain = replace(rule, top_k=0, top_p=1.0, min_p=0.0)
        lost = float(defined_log(mixed, plain).exp()[~support].sum())
        assert float(step.evidence.lost[i]) == pytest.approx(lost, rel=1e-4, abs=1e-7)
        bare = Sampling(temperature=rule.temperature)
        tail = float(defined_log(after[i], bare).exp()[~support].sum())
        assert float(step.evidence.tail[i]) == pytest.approx(tail, rel=1e-4, abs=1e-7)
    assert step.evidence.lost[1] > 0.1


def test_what_is_said_of_the_checkpoints_is_of_the_whole_vocabulary() -> None:
    free, bound = (stepper(sizes)(*logits()) for sizes in ((0,) * 7, SIZES))
    for name in ("entropy_after", "kl", "only_after"):
        one, other = (getattr(step.evidence, name) for step in (free, bound))
        assert torch.equal(one, other)
    same = torch.equal(free.ids, bound.ids)
    assert not same
    plain = logits()[0].double().log_softmax(-1)
    for row in (4, 5):
        expected = float(plain[row, bound.ids[row, 0]])
        assert float(bound.evidence.log_p_plain[row]) == pytest.approx(expected)


def test_alpha_0_and_minus_1_are_the_checkpoints_on_the_support() -> None:
    step = stepper([30] * len(RULES))(*logits())
    assert step.log_q[0, 0] == step.log_p_after[0, 0]
    assert step.log_q[1, 0] == step.log_p_before[1, 0]
    assert step.evidence.lost[0] == step.evidence.tail[0] > 0


@pytest.mark.parametrize("careful", [False, True])
def test_rows_without_a_support_are_as_they_were(careful: bool) -> None:
    free = stepper(careful=careful, sizes=(0,) * 7, top=2)(*logits())
    mixed = stepper(careful=careful, top=2)(*logits())
    for row in (2, 5):
        for one, other in zip(free[1:], mixed[1:], strict=True):
            assert torch.equal(one[row], other[row])
        assert torch.equal(table(free)[row], table(mixed)[row])
    assert not free.evidence.lost.any()
    assert not free.evidence.tail.any()


def test_care_and_a_mask_of_the_caller_give_the_same() -> None:
    after, before = logits()
    quick = stepper(top=2)(after, before)
    alike(quick, stepper(top=2, careful=True)(after, before))
    pairs = zip(after, SIZES, strict=True)
    mask = torch.stack([inside(row, size) for row, size in pairs])
    for careful in (False, True):
        alike(stepper((), drawable=mask, careful=careful, top=2)(after, before), quick)


def test_ids_as_likely_as_the_last_one_are_in() -> None:
    after, before = logits()
    after = (2 * after).round() / 2
    step = stepper([50] * len(RULES), choose=lambda p: (p > 0).sum(-1))(after, before)
    counts = torch.tensor([int(inside(row, 50).sum()) for row in after])
    assert (counts >= 50).all()
    assert (counts > 50).any()
    for row in (0, 1, 4):
        wanted = counts if RULES[row].top_p == 1 else counts.clamp(max=V)
        assert step.ids[row, 0] <= wanted[row]
    assert step.ids[0, 0] == counts[0]
    assert step.ids[1, 0] == counts[1]


def test_a_chooser_gets_the_chance_of_every_id() -> None:
    seen: list[Tensor] = []

    def likeliest(p: Tensor) -> Tensor:
        seen.append(p)
        return p.argmax(-1)

    step = stepper(choose=likeliest, top=1)(*logits())
    assert torch.equal(step.ids[:, 0], seen[0].argmax(-1))
    assert torch.allclose(seen[0].sum(-1), torch.ones(7, dtype=torch.float64))
    chance = seen[0].gather(-1, step.ids[:, :1]).log()
    sampled = [rule.temperature > 0 for rule in RULES]
    assert torch.allclose(chance[sampled], step.log_q[sampled, :1].double(), atol=1e-5)
    greedy = sampled.index(False)
    assert seen[0][greedy].max() == 1.0
    assert int((seen[0][greedy] > 0).sum()) == 1


@pytest.mark.parametrize("row", [0, 1])
def test_a_support_that_before_finds_impossible(row: int) -> None:
    after, before = logits()
    before[row] = before[row].masked_fill(inside(after[row], SIZES[row]), -math.inf)
    quick = stepper()(after, before)
    assert not is_sound(table(quick)[row].tolist())
    careful = stepper(careful=True)(after, before)
    assert careful.evidence.log_p_before[row].isneginf()
    # At alpha 0 `before` has no say; at -1 there is nothing left to draw.
    assert bool(careful.evidence.log_q[row].isnan()) == (ALPHAS[row] == -1)
    others = [i for i in range(len(RULES)) if i != row]
    assert torch.equal(table(quick)[others], table(stepper()(*logits()))[others])


def test_a_placebo_pushes_inside_the_support() -> None:
    step = stepper([16] * 7, placebos=True, choose=lambda p: p.argmin(-1))
    after, before = logits()
    outside = step(after, before)
    assert (outside.evidence.log_q[:, 0].isneginf()).any()
    far = before.clone()
    for i in range(len(RULES)):
        # What happens to ids outside is nobody's business inside.
        far[i, ~inside(after[i], 16)] -= 3.0
    one, other = (
        stepper([16] * 7, placebos=True, top=4)(after, side) for side in (before, far)
    )
    assert torch.equal(one.ids, other.ids)
    assert torch.allclose(one.log_q, other.log_q, atol=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("careful", [False, True])
def test_a_row_that_has_no_distribution_says_so(value: float, careful: bool) -> None:
    after, before = logits()
    after[0, 11] = value
    step = stepper(careful=careful)(after, before)
    assert [is_sound(row) for row in table(step).tolist()] == [False] + [True] * 6


def test_no_value_is_looked_at_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = stepper()(*logits())
    for place in (truncate, distribution):
        monkeypatch.setattr(place, "on_cpu", lambda tensor: False)
    prepared: Callable[[Tensor, Tensor], Step] = stepper()
    with profile() as seen:
        step = prepared(*logits())
    alike(step, expected)
    names = {event.key for event in seen.key_averages()}
    assert not names & {"aten::item", "aten::_local_scalar_dense", "aten::nonzero"}
