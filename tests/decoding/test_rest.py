"""One column for all that is not listed: its bound holds at every step."""

import math

import pytest
import torch
from torch import Tensor

from inspect_lda.decoding.batch import Settings
from inspect_lda.decoding.known import KnownIds
from inspect_lda.decoding.nets import NetRows, Netted
from inspect_lda.decoding.rest import is_upper_bound, rest_logit
from inspect_lda.decoding.scratch import Scratch
from inspect_lda.decoding.settings import NO_NETS, Nets, Sampling
from inspect_lda.decoding.step import Asked, Step, Stepper

CPU = torch.device("cpu")
V, K, STEPS = 800, 20, 300
ALPHAS = (-3.0, -1.0, -0.7, -0.2, 0.0, 0.3, 1.0, 5.0, 20.0)


def logprobs() -> tuple[Tensor, Tensor]:
    """Pairs from nearly equal to far apart, peaked and flat."""
    generator = torch.Generator().manual_seed(3)
    spread = torch.linspace(0.5, 5, STEPS).unsqueeze(-1)
    apart = torch.linspace(2, 0.05, STEPS).unsqueeze(-1)
    after = spread * torch.randn(STEPS, V, generator=generator)
    before = after + apart * torch.randn(STEPS, V, generator=generator)
    return after.double().log_softmax(-1), before.double().log_softmax(-1)


def step(
    after: Tensor,
    before: Tensor,
    alpha: float,
    rule: Sampling,
    drawable: Tensor,
    nets: Nets,
) -> Step:
    rows, width = after.shape
    settings = Settings.of([rule] * rows, [alpha] * rows, CPU)
    known = KnownIds(*torch.ones(2, width, dtype=torch.bool))
    uniforms = torch.full((rows,), 0.5, dtype=torch.float64)
    netted = NetRows.of([Netted(row, nets, alpha, 0) for row in range(rows)], CPU)
    asked = Asked(settings, (), uniforms, 0, drawable=drawable, nets=netted)
    stepper = Stepper(known, asked, Scratch.of(rows, width, CPU), careful=True)
    return stepper(after.float(), before.float())


def steps(
    alpha: float, temperature: float, nets: Nets = NO_NETS
) -> tuple[Step, Step, Tensor]:
    """With one column for the rest, and whole; which rows drew the same id."""
    after, before = logprobs()
    order = after.argsort(descending=True)
    # In the order of their ids, so that one uniform draws the same token.
    listed, unlisted = order[:, :K].sort(-1).values, order[:, K:]
    columns = []
    for side in (after, before):
        masses = side.gather(-1, unlisted).exp().sum(-1).tolist()
        rest = [rest_logit(mass, V - K, alpha, temperature) for mass in masses]
        column = torch.tensor(rest, dtype=torch.float64).unsqueeze(-1)
        columns.append(torch.cat([side.gather(-1, listed), column], -1))
    rule = Sampling(temperature=temperature)
    drawable = torch.ones(STEPS, K + 1, dtype=torch.bool)
    drawable[:, -1] = False
    lumped = step(columns[0], columns[1], alpha, rule, drawable, nets)
    mask = torch.zeros(STEPS, V, dtype=torch.bool).scatter_(-1, listed, True)
    whole = step(after, before, alpha, rule, mask, nets)
    same = (listed.gather(-1, lumped.ids) == whole.ids).squeeze(-1)
    return lumped, whole, same


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_column_bounds_what_is_lost(alpha: float, temperature: float) -> None:
    lumped, whole, same = steps(alpha, temperature)
    beyond = lumped.evidence.lost - whole.evidence.lost
    assert float((-beyond if is_upper_bound(alpha) else beyond).max()) < 2e-6
    # What is drawn from is the same, lumped or not.
    assert torch.allclose(lumped.log_q[same], whole.log_q[same], atol=1e-4)
    assert int(same.sum()) > 0.98 * STEPS


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("alpha", [-3.0, -0.4, 1.0, 20.0])
def test_it_does_where_nets_scale_the_push(alpha: float, temperature: float) -> None:
    nets = Nets(max_kl_per_token=0.2, kl_gate=0.01, alpha_schedule=((0, 0.9),))
    lumped, whole, same = steps(alpha, temperature, nets)
    assert torch.equal(lumped.evidence.acted, whole.evidence.acted)
    assert torch.allclose(lumped.evidence.alpha, whole.evidence.alpha, rtol=1e-3)
    # The search for alpha ends a thousandth apart, which is all there may be between.
    beyond = lumped.evidence.lost - 1.01 * whole.evidence.lost
    if is_upper_bound(alpha):
        beyond = 0.99 * whole.evidence.lost - lumped.evidence.lost
    assert float(beyond.max()) < 2e-6
    assert torch.allclose(lumped.log_q[same], whole.log_q[same], atol=1e-2)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_at_temperature_1_after_is_known_exactly(alpha: float) -> None:
    lumped, whole, same = steps(alpha, 1.0)
    one, other = lumped.evidence, whole.evidence
    assert torch.allclose(one.log_p_plain[same], other.log_p_plain[same], atol=1e-5)
    assert torch.allclose(one.tail, other.tail, atol=1e-6)
    assert (one.kl <= other.kl + 1e-5).all()
    assert (one.entropy_after <= other.entropy_after + 1e-5).all()
    if alpha in (0.0, -1.0):
        assert torch.allclose(one.lost, other.lost, atol=1e-6)


def test_the_bound_is_tight_where_the_checkpoints_are_close() -> None:
    lumped, whole, _ = steps(1.0, 1.0)
    close = slice(STEPS // 2, None)
    share = lumped.evidence.lost[close] / whole.evidence.lost[close]
    assert float(share.min()) > 0.2
    assert float(share[-50:].min()) > 0.8


def test_nothing_outside_is_impossible() -> None:
    assert rest_logit(0.0, 10, 1.0, 1.0) == -math.inf
    assert rest_logit(0.1, 0, 1.0, 1.0) == -math.inf
    assert rest_logit(1.0, 1, 1.0, 0.5) == 0.0
