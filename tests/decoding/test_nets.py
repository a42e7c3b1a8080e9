"""Safety nets: each is another exact distribution, and off where nothing is pushed."""

import math
from typing import Any

import pytest
import torch
from torch.profiler import profile

from inspect_lda.decoding import distribution, truncate, trust
from inspect_lda.decoding import nets as module
from inspect_lda.decoding.measure import is_sound
from inspect_lda.decoding.settings import NO_NETS, Nets
from tests.decoding.held import Held, divergence, held
from tests.decoding.netted import (
    ALPHAS,
    EVERY,
    TEMPERATURES,
    V,
    by_id,
    logits,
    names,
    stepper,
    take,
)
from tests.decoding.test_step import alike, table


def meant(row: int, nets: Nets, at: int = 0) -> Held:
    after, before = logits()
    return held(after[row], before[row], ALPHAS[row], nets, at, TEMPERATURES[row])


@pytest.mark.parametrize("at", [0, 3, 9])
@pytest.mark.parametrize("name", [*EVERY])
def test_each_draws_from_what_it_defines(name: str, at: int) -> None:
    nets = EVERY[name]
    step = take(nets, at=at, top=V)
    for row in range(len(ALPHAS)):
        expected = meant(row, nets, at)
        log_q, got = expected.logits.log_softmax(-1), by_id(step, row)
        likely = log_q > -20
        assert torch.allclose(got[likely], log_q[likely], atol=5e-3)
        assert torch.equal(got.isneginf(), log_q.isneginf())
        assert float(got.exp().sum()) == pytest.approx(1, abs=1e-5)
        left = float(step.evidence.alpha[row])
        assert left == pytest.approx(expected.alpha, rel=3e-3)


def test_the_evidence_says_which_acted() -> None:
    for name, nets in EVERY.items():
        if name == "all":
            continue
        step = take(nets, at=2)
        plain = [float(x) for x in step.evidence.alpha]
        for row, bits in enumerate(step.evidence.acted.flatten().tolist()):
            acted = names(bits)
            if ALPHAS[row] in (0, -1):
                assert acted == []
            elif name in ("soft_threshold", "plausibility"):
                assert acted == [name]
                assert plain[row] == pytest.approx(ALPHAS[row])
            else:
                changed = plain[row] != pytest.approx(ALPHAS[row])
                assert acted == ([name] if changed else [])
    gated = take(EVERY["kl_gate"]).evidence.acted.flatten().tolist()
    assert 0 < sum(map(bool, gated)) < 6
    dropped = take(EVERY["plausibility"]).evidence.dropped.flatten()
    after, before = logits()
    whole = ((after + 3 * (after - before))[2] / TEMPERATURES[2]).double().softmax(-1)
    scaled = after[2].double() / TEMPERATURES[2]
    below = scaled < scaled.max() + math.log(0.05)
    assert float(dropped[2]) == pytest.approx(float(whole[below].sum()), abs=1e-5)
    assert not dropped[6:].any()


@pytest.mark.parametrize("alpha", [0.3, 1.0, 8.0, 100.0, -0.9, -1.5, -30.0])
@pytest.mark.parametrize("bound", [0.01, 0.2, 2.0])
def test_the_trust_region_is_used_up_and_not_left(alpha: float, bound: float) -> None:
    after, before = logits()
    nets = Nets(max_kl_per_token=bound)
    step = take(nets, alphas=[alpha] * 8, top=V)
    free = take(NO_NETS, alphas=[alpha] * 8, top=V)
    for row, temperature in enumerate(TEMPERATURES):
        q = by_id(step, row)
        base = (after if alpha > -1 else before)[row].double() / temperature
        moved = divergence(q, base)
        assert moved <= bound * 1.0001 + 1e-6
        if names(float(step.evidence.acted[row])):
            assert moved >= 0.99 * bound - 1e-6
        else:
            assert torch.equal(step.log_q[row], free.log_q[row])


def test_a_bound_that_only_one_target_reaches() -> None:
    # One id far away takes all: the divergence leaps from nothing to its whole.
    after, before = logits()
    after[:, 7], before[:, 7] = -60.0, -160.0
    for alpha in (1.0, 50.0, 1000.0):
        step = take(Nets(max_kl_per_token=0.5), (after, before), alphas=[alpha] * 8)
        assert all(map(is_sound, table(step).tolist()))
        assert (step.evidence.alpha > 0).all()
        assert (step.evidence.log_p_plain > -80).all()


@pytest.mark.parametrize("name", [*EVERY])
def test_below_minus_1_it_is_the_swapped_pair(name: str) -> None:
    after, before = logits()
    alphas = [0.4, 1.0, 3.0, 20.0, 0.1, 2.0, 5.0, 7.0]
    swapped = [-1 - alpha for alpha in alphas]
    one = take(EVERY[name], (after, before), alphas=alphas)
    other = take(EVERY[name], (before, after), alphas=swapped)
    assert torch.equal(one.ids, other.ids)
    assert torch.allclose(one.log_q, other.log_q, atol=2e-3)
    left = -1 - other.evidence.alpha
    assert torch.allclose(one.evidence.alpha, left, rtol=1e-3, atol=1e-4)
    assert torch.equal(one.evidence.acted, other.evidence.acted)


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize("support", [0, 40])
def test_nothing_changes_where_no_net_acts(careful: bool, support: int) -> None:
    how: dict[str, Any] = {"careful": careful, "support": support, "top": 3}
    free = take(NO_NETS, **how)
    idle = take(Nets(1e9, 0.0, 1e-12, 1e-30, 100, ((0, 1.0),)), **how)
    assert torch.equal(free.log_q, idle.log_q)
    assert not idle.evidence.acted.any()
    for nets in EVERY.values():
        step = take(nets, **how)
        for got, plain in zip(step[1:], free[1:], strict=True):
            assert torch.equal(got[6:], plain[6:]), "alpha 0 and -1"
    mixed = [EVERY["all"], NO_NETS] * 4
    step = stepper(mixed, careful=careful, support=support, top=3)(*logits())
    assert torch.equal(table(step)[1::2], table(free)[1::2])


@pytest.mark.parametrize("support", [0, 40])
@pytest.mark.parametrize(
    "nets", [Nets(first_k=1), Nets(kl_gate=99), Nets(alpha_schedule=((0, 0.0),))]
)
def test_a_step_that_is_not_amplified_is_the_checkpoint(
    nets: Nets, support: int
) -> None:
    nets = Nets(
        nets.max_kl_per_token, 0.3, nets.kl_gate, 0.1, nets.first_k, nets.alpha_schedule
    )
    step = take(nets, at=1, support=support)
    for row, alpha in enumerate(ALPHAS):
        log_p = step.log_p_after if alpha > -1 else step.log_p_before
        assert step.log_q[row] == log_p[row]
    assert set(step.evidence.alpha.flatten().tolist()) == {0.0, -1.0}


@pytest.mark.parametrize("placebos", [False, True])
@pytest.mark.parametrize("support", [0, 40])
@pytest.mark.parametrize("name", [*EVERY])
def test_care_changes_nothing(name: str, support: int, placebos: bool) -> None:
    how: dict[str, Any] = {"support": support, "placebos": placebos, "at": 1, "top": 2}
    quick, careful = (take(EVERY[name], careful=c, **how) for c in (False, True))
    assert all(map(is_sound, table(quick).tolist()))
    alike(quick, careful)


@pytest.mark.parametrize("support", [0, 40])
@pytest.mark.parametrize("name", [*EVERY])
def test_care_changes_nothing_where_tokenizers_differ(name: str, support: int) -> None:
    how: dict[str, Any] = {"support": support, "strangers": True, "top": V - 1}
    quick, careful = (take(EVERY[name], careful=c, **how) for c in (False, True))
    assert all(map(is_sound, table(quick).tolist()))
    assert torch.equal(quick.ids[:, 0], careful.ids[:, 0])
    assert torch.allclose(table(quick), table(careful), atol=2e-4)
    for step in (quick, careful):
        for row in range(len(ALPHAS)):
            ids = step.ids[row, 1:].tolist()
            assert step.log_q[row, 1:][ids.index(7)].isneginf(), "not allowed"
            assert float(step.log_q[row, 1:].exp().sum()) == pytest.approx(1, abs=1e-5)


def test_nets_see_what_the_support_leaves() -> None:
    nets = EVERY["all"]
    after, before = logits()
    step = take(nets, support=30)
    for row, alpha in enumerate(ALPHAS):
        kept = after[row].topk(30).indices.sort().values
        pair = (after[row, kept], before[row, kept])
        expected = held(*pair, alpha, nets, 0, TEMPERATURES[row])
        place = int((kept == step.ids[row, 0]).nonzero())
        log_q = float(expected.logits.log_softmax(-1)[place])
        assert float(step.log_q[row, 0]) == pytest.approx(log_q, abs=5e-3)


def test_a_placebo_is_held_as_the_push_is() -> None:
    step = take(EVERY["max_kl_per_token"], placebos=True)
    assert (
        step.evidence.alpha.abs() <= torch.tensor(ALPHAS).abs()[:, None] + 1e-5
    ).all()
    assert names(float(step.evidence.acted[4])) == ["max_kl_per_token"]
    assert step.log_q[6, 0] == step.log_p_after[6, 0]


@pytest.mark.parametrize("name", [*EVERY])
@pytest.mark.parametrize("which", ["after", "before", "both"])
def test_impossible_ids_stay_what_they_are(name: str, which: str) -> None:
    after, before = logits()
    for side, label in ((after, "after"), (before, "before")):
        if which in (label, "both"):
            side[:, 11:19] = -math.inf
    plain = take(NO_NETS, (after, before), careful=True, top=V)
    step = take(EVERY[name], (after, before), careful=True, top=V)
    assert not table(step).isnan().any()
    for row in range(len(ALPHAS)):
        if float(step.evidence.alpha[row]) in (0, -1):
            continue
        free, got = (by_id(each, row)[11:19] for each in (plain, step))
        assert got[free.isneginf()].isneginf().all()
    quick = take(EVERY[name], (after, before))
    assert not any(map(is_sound, table(quick).tolist())), "left to care"


def test_a_row_of_nan_says_so() -> None:
    for careful in (False, True):
        after, before = logits()
        after[2, 5] = math.nan
        step = take(EVERY["all"], (after, before), careful=careful)
        sound = [is_sound(row) for row in table(step).tolist()]
        assert sound == [True, True, False] + [True] * 5


def test_no_value_is_looked_at_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    nets = [*EVERY.values(), NO_NETS]
    expected = stepper(nets, support=40)(*logits())
    for place in (truncate, distribution, trust, module):
        monkeypatch.setattr(place, "on_cpu", lambda tensor: False)
    prepared = stepper(nets, support=40)
    with profile() as seen:
        step = prepared(*logits())
    alike(step, expected)
    waits = {"aten::item", "aten::_local_scalar_dense", "aten::nonzero"}
    assert not {event.key for event in seen.key_averages()} & waits
