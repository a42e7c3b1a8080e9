"""Total variation and divergence, against float64."""

import torch

from inspect_lda.calibration.noise import Known, Measured, divergence, variation

GENERATOR = torch.Generator().manual_seed(0)
ROWS, TOKENS, V = 2, 3, 50


def logits(*shape: int) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=GENERATOR)


def distributions(
    left: torch.Tensor, right: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.softmax(left.double(), -1), torch.softmax(right.double(), -1)


def test_variation_and_divergence_are_those_of_the_distributions() -> None:
    left, right = logits(5, V), logits(5, V)
    p, q = distributions(left, right)
    assert torch.allclose(variation(left, right).double(), (p - q).abs().sum(-1) / 2)
    assert torch.allclose(divergence(left, right), (p * (p / q).log()).sum(-1))


def test_a_tiny_divergence_is_not_lost_in_rounding() -> None:
    left = logits(5, V)
    right = left + 1e-6 * logits(5, V)
    p, q = distributions(left, right)
    expected = (p * (p.log() - q.log())).sum(-1)
    assert float(expected.max()) < 1e-11
    assert torch.allclose(divergence(left, right), expected, rtol=0.2, atol=0)


def test_excluded_ids() -> None:
    left, right = logits(1, V), logits(1, V)
    left[:, 3] = right[:, 3] = -torch.inf
    assert divergence(left, right).isfinite().all()
    right[:, 4] = -torch.inf
    assert divergence(left, right).isinf().all()
    assert divergence(right, left).isfinite().all()


def measured(noise: float, **fields: torch.Tensor) -> Measured:
    after = logits(ROWS, TOKENS, V)
    whole = torch.ones(V, dtype=torch.bool)
    shared = whole.clone()
    shared[-2:] = False
    return Measured(
        after,
        fields.get("before", logits(ROWS, TOKENS, V)),
        after + noise * logits(ROWS, TOKENS, V),
        Known(whole, shared),
    )


def test_noise_grows_with_alpha_and_vanishes_without_any() -> None:
    noisy = measured(0.01)
    values = [noisy.noise_tv(alpha) for alpha in (0.1, 1, 10, 100, 1000)]
    assert values == sorted(values)
    assert 9 < values[1] / values[0] < 11
    assert measured(0.0).noise_tv(1000) == 0.0
    assert measured(0.0).noise_kl() == 0.0
    assert abs(noisy.noise_std() - 0.03) < 0.01
    assert noisy.truth_tv(1.0) is None


def test_ids_of_one_side_are_no_noise() -> None:
    after = logits(1, 1, V)
    alone = after.clone()
    alone[..., -1] += 5
    whole = torch.ones(V, dtype=torch.bool)
    shared = whole.clone()
    shared[-1] = False
    narrow = logits(1, 1, V - 1)
    found = Measured(after, narrow, alone, Known(whole, shared))
    assert found.noise_tv(10.0) == 0.0
    assert all(value > 0 for value in found.signal_kl())
    assert 0 < found.signal_tv(1.0) < 1
