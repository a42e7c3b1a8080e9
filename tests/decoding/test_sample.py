"""Laws 3 and 5: order of operations, and a stream of its own for every request."""

import math

import pytest
import torch
from scipy import stats

from inspect_lda.decoding.sample import UniformStream, draw, inverse_cdf
from inspect_lda.decoding.truncate import Settings, edit, truncate
from inspect_lda.engines.base import Sampling

CPU = torch.device("cpu")


def settings(*rows: Sampling) -> Settings:
    return Settings.of(rows, [1.0] * len(rows), CPU)


def kept(scaled: torch.Tensor) -> list[set[int]]:
    return [set(row.isfinite().nonzero().squeeze(-1).tolist()) for row in scaled]


def test_streams_depend_on_the_seed_alone() -> None:
    first = [UniformStream(7).next() for _ in range(3)]
    assert len(set(first)) == 1
    long, other = UniformStream(7), UniformStream(8)
    values = [long.next() for _ in range(200)]
    assert len(set(values)) == 200
    assert all(0 <= value < 1 for value in values)
    assert not set(values) & {other.next() for _ in range(200)}


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


def test_truncations_match_their_definitions_per_row() -> None:
    p = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05]).log().expand(5, 5)
    rows = settings(
        Sampling(),
        Sampling(top_k=2),
        Sampling(top_p=0.7),
        Sampling(min_p=0.3),
        Sampling(top_p=0.71, min_p=0.5),
    )
    assert kept(truncate(p, rows)) == [
        {0, 1, 2, 3, 4},
        {0, 1},
        {0, 1},
        {0, 1, 2},
        {0, 1},
    ]


@pytest.mark.parametrize("p", [1e-50, 1e-9, 0.2, 0.9, 0.999999])
def test_top_p_keeps_the_crossing_token_and_the_mass(p: float) -> None:
    scaled = torch.randn(3, 1000, generator=torch.Generator().manual_seed(1))
    result = truncate(scaled, settings(*[Sampling(top_p=p)] * 3))
    mass = scaled.softmax(-1)
    for row, ids in enumerate(kept(result)):
        total = float(mass[row, list(ids)].sum())
        least = min(float(mass[row, i]) for i in ids)
        assert total >= p - 1e-5
        assert total - least < p + 1e-5


def test_truncations_come_in_their_order() -> None:
    p = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05]).log().expand(2, 5)
    rows = settings(Sampling(top_k=3, top_p=0.8), Sampling(top_p=0.8, min_p=0.3))
    # top-p sees what top-k left (0.47, 0.35, 0.18), and all of what min-p will drop.
    assert kept(truncate(p, rows)) == [{0, 1}, {0, 1, 2}]


def test_neutral_settings_leave_logits_untouched() -> None:
    scaled = torch.randn(2, 50)
    assert truncate(scaled, settings(Sampling(), Sampling())) is scaled
    mixed = truncate(scaled, settings(Sampling(), Sampling(top_k=1, top_p=0.5)))
    assert torch.equal(mixed[0], scaled[0])


def test_penalties_and_bias_apply_once() -> None:
    row = torch.zeros(5)
    sampling = Sampling(
        frequency_penalty=0.5, presence_penalty=1.0, logit_bias={4: -100.0, 1: 2.0}
    )
    edit(row, sampling, {1: 3, 2: 1})
    assert row.tolist() == [0.0, -0.5, -1.5, 0.0, -100.0]


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
