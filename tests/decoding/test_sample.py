"""Law 5: a stream of its own for every request, and draws that follow p exactly."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from inspect_lda.decoding.sample import UniformStream, draw, inverse_cdf


def test_streams_depend_on_the_seed_alone() -> None:
    first = [UniformStream(7).next() for _ in range(3)]
    assert len(set(first)) == 1
    long, other = UniformStream(7), UniformStream(8)
    values = [long.next() for _ in range(200)]
    assert len(set(values)) == 200
    assert all(0 <= value < 1 for value in values)
    assert not set(values) & {other.next() for _ in range(200)}


def test_any_uniform_is_found_out_of_turn() -> None:
    generator = np.random.Generator(np.random.Philox(key=9))
    right = [float(generator.random()) for _ in range(300)]
    stream, sequence = UniformStream(9), UniformStream(9)
    assert [sequence.next() for _ in right] == right
    for token in (299, 0, 64, 63, 200, 128, 127, 1):
        assert stream.at(token) == right[token]


def test_streams_of_neighbouring_seeds_are_uncorrelated() -> None:
    draws = torch.tensor(
        [[stream.next() for _ in range(2000)] for stream in map(UniformStream, (1, 2))]
    )
    assert abs(float(torch.corrcoef(draws)[0, 1])) < 0.08
    assert stats.kstest(draws[0].numpy(), "uniform").pvalue > 1e-3


def test_inverse_cdf_is_exact_at_its_edges() -> None:
    log_probs = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]).log().expand(4, 5)
    uniforms = torch.tensor([0.0, 0.4999999, 0.5, 1 - 2**-53], dtype=torch.float64)
    assert inverse_cdf(log_probs.exp(), uniforms).tolist() == [1, 1, 3, 3]


def test_inverse_cdf_reaches_tokens_far_below_float32_resolution() -> None:
    # 1e-9 after 1e5 ids: a float32 running sum would give this id no width at all.
    log_probs = torch.full((1, 100_000), math.log(1e-5))
    log_probs[0, -1] = math.log(1e-9)
    log_probs = log_probs.log_softmax(-1)
    nearly_one = torch.tensor([1 - 0.5e-9], dtype=torch.float64)
    assert inverse_cdf(log_probs.exp(), nearly_one).item() == 99_999


def test_sampled_distribution_is_the_exact_one() -> None:
    log_probs = torch.randn(1, 12, generator=torch.Generator().manual_seed(0))
    log_probs = log_probs.log_softmax(-1)
    stream = UniformStream(3)
    uniforms = torch.tensor([stream.next() for _ in range(20_000)], dtype=torch.float64)
    drawn = inverse_cdf(log_probs.exp().expand(20_000, 12), uniforms)
    counts = torch.bincount(drawn, minlength=12).numpy()
    exact = log_probs[0].exp().double()
    expected = (exact / exact.sum() * 20_000).numpy()
    assert stats.chisquare(counts, expected).pvalue > 1e-3


def test_temperature_zero_is_argmax_and_other_rows_still_sample() -> None:
    log_q = torch.log(torch.tensor([[0.6, 0.4], [0.6, 0.4]]))
    greedy = torch.tensor([True, False])
    uniforms = torch.tensor([0.99, 0.99], dtype=torch.float64)
    assert draw(log_q.exp(), log_q, uniforms, greedy).tolist() == [0, 1]


@pytest.mark.parametrize("size", [97, 256, 1000])
def test_a_row_of_nan_gives_an_id_of_the_vocabulary(size: int) -> None:
    log_probs = torch.zeros(2, size).log_softmax(-1)
    log_probs[0] = math.nan
    drawn = inverse_cdf(
        log_probs.exp(), torch.tensor([0.3, 0.9995], dtype=torch.float64)
    )
    assert 0 <= int(drawn[0]) < size
    assert int(drawn[1]) == int(0.9995 * size)


def test_draws_follow_a_distribution_of_many_blocks() -> None:
    # Mass in the first, a middle and the last, partly filled block; none between.
    log_probs = torch.full((1, 700), -math.inf)
    where = torch.tensor([0, 255, 256, 511, 699])
    log_probs[0, where] = torch.tensor([0.1, 0.2, 0.3, 0.15, 0.25]).log()
    uniforms = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    drawn = inverse_cdf(log_probs.exp().expand(10_000, 700), uniforms)
    assert bool((drawn.diff() >= 0).all())
    counts = torch.bincount(drawn, minlength=700)
    assert counts[where].tolist() == pytest.approx([1000, 2000, 3000, 1500, 2500], 1e-3)
    assert int(counts.sum() - counts[where].sum()) == 0


def test_a_rare_id_beside_a_dominant_one_keeps_its_share() -> None:
    # Same block: a float32 sum of the block has no room for 1e-9 beside 0.9.
    p = torch.zeros(1, 512)
    p[0, 10], p[0, 11], p[0, 400] = 0.9, 1e-9, 0.1
    exact = p.double() / p.double().sum()
    start = float(exact[0, 10])
    inside = torch.tensor([start + 0.5e-9], dtype=torch.float64)
    assert inverse_cdf(p, inside).item() == 11
    assert inverse_cdf(p, inside - 2e-9).item() == 10
    assert inverse_cdf(p, inside + 1e-7).item() == 400
