"""The placebo: the same push given to other tokens, and nothing else."""

import math

import pytest
import torch
from torch import Tensor

from inspect_lda.decoding.amplify import amplify
from inspect_lda.decoding.placebo import placebo, placebo_order

INF = math.inf


def logits(seed: int, *shape: int) -> Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def orders(rows: int, width: int, seed: int = 5) -> Tensor:
    return torch.stack([placebo_order(seed + row, 0, width) for row in range(rows)])


def divergence(q: Tensor, p: Tensor) -> Tensor:
    """KL(q || p) of logits, a value a row."""
    q, p = q.double().log_softmax(-1), p.double().log_softmax(-1)
    return (q.exp() * torch.where(q.isneginf(), 0.0, q - p)).sum(-1)


def test_what_was_added_stays_inside_its_band() -> None:
    after = torch.arange(16, 0, -1).float().expand(200, 16)
    added = torch.arange(16).float()
    moved = placebo(after, after + added, orders(200, 16)) - after
    for low, high in ((0, 1), (1, 3), (3, 7), (7, 15), (15, 16)):
        band = moved[:, low:high].round().long()
        assert torch.equal(band.sort(-1).values[0], torch.arange(low, high))
        assert (band.sort(-1).values == torch.arange(low, high)).all()
        # Every token of a band gives to every other of it, about equally often, and
        # none keeps its own.
        others = max(1, high - low - 1)
        for place in range(high - low):
            counts = band[:, place].bincount(minlength=high)[low:high]
            assert counts[place] == (200 if high - low == 1 else 0)
            assert (counts[counts > 0] - 200 / others).abs().max() < 40
            assert (counts > 0).sum() == others


def test_nothing_added_is_after_bit_for_bit() -> None:
    after, before = logits(0, 3, 300), logits(1, 3, 300)
    assert torch.equal(
        placebo(after, amplify(after, before, 0.0), orders(3, 300)), after
    )


def test_ids_that_are_not_finite_stay_out() -> None:
    after, before = logits(0, 2, 64), logits(1, 2, 64)
    after[:, 3] = -INF
    before[:, 9] = -INF
    amplified = amplify(after, before, torch.tensor([1.5, -2.0]))
    assert amplified[1, 9] == -INF
    amplified[0, 20] = math.nan
    result = placebo(after, amplified, orders(2, 64))
    stay = ~(after.isfinite() & amplified.isfinite())
    assert stay.sum(-1).tolist() == [2, 2]
    assert torch.equal(result[stay].nan_to_num(7.0), amplified[stay].nan_to_num(7.0))
    assert result[~stay].isfinite().all()
    # What they had is not handed to anybody, and nobody goes empty.
    for row in range(2):
        free = ~stay[row]
        gave = (amplified - after)[row, free].sort().values
        got = (result - after)[row, free].sort().values
        assert torch.allclose(gave, got, atol=1e-5)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    after, before = logits(0, 4, 500), logits(1, 4, 500)
    amplified, order = amplify(after, before, 2.0), orders(4, 500)
    together = placebo(after, amplified, order)
    for row in range(4):
        alone = placebo(after[row], amplified[row], order[row])
        assert torch.equal(together[row], alone)


def test_rounding_inside_a_band_changes_next_to_nothing() -> None:
    after, before = logits(0, 1, 5000), logits(1, 1, 5000)
    # Neighbours in rank that are one rounding error apart, in the middle of a band.
    ranked = after[0].argsort(descending=True)
    after[0, ranked[700]] = after[0, ranked[701]] + 1e-6
    nudged = after.clone()
    nudged[0, ranked[700]] -= 2e-6
    order = orders(1, 5000)
    first = placebo(after, amplify(after, before, 1.0), order)
    second = placebo(nudged, amplify(nudged, before, 1.0), order)
    assert (first - second).abs().max() < 1e-4


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_it_disturbs_as_much_as_amplification(alpha: float) -> None:
    # Logits with the spread of a language model's, and a difference on few tokens.
    after = logits(0, 60, 20_000)
    difference = 0.2 * logits(1, 60, 20_000)
    rare = torch.rand(60, 20_000, generator=torch.Generator().manual_seed(2)) < 1e-2
    difference += 4.0 * rare
    amplified = amplify(after, after - difference, alpha)
    other = placebo(after, amplified, orders(60, 20_000))
    wanted = divergence(amplified, after).mean()
    assert wanted > 0.05
    assert torch.isclose(divergence(other, after).mean(), wanted, rtol=0.1)
    assert divergence(other, amplified).mean() > 0.5 * wanted


def test_orders_are_a_function_of_seed_and_step() -> None:
    first = placebo_order(7, 0, 1000)
    assert torch.equal(first.sort().values, torch.arange(1000))
    assert torch.equal(first, placebo_order(7, 0, 1000))
    others = [placebo_order(7, 1, 1000), placebo_order(8, 0, 1000)]
    others.append(placebo_order(2**63 - 1, 0, 1000))
    for other in others:
        assert (first == other).float().mean() < 0.02
