"""Laws 1, 3 and 4: the convention, exact branches, -inf and strangers."""

import math

import pytest
import torch

from inspect_lda.decoding.amplify import amplify, known_logits

INF = math.inf


def logits(seed: int, *shape: int) -> torch.Tensor:
    return 5 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_convention() -> None:
    after, before = logits(0, 3, 11), logits(1, 3, 11)
    expected = after.double() + 0.3 * (after.double() - before.double())
    assert torch.allclose(amplify(after, before, 0.3).double(), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_alpha_0_and_minus_1_are_the_checkpoints_bit_for_bit(
    dtype: torch.dtype,
) -> None:
    after, before = logits(0, 4, 101).to(dtype), logits(1, 4, 101).to(dtype)
    assert torch.equal(amplify(after, before, 0.0), after.float())
    assert torch.equal(amplify(after, before, -1.0), before.float())


def test_branches_hold_inside_a_mixed_batch_with_infinities() -> None:
    after, before = logits(0, 4, 7), logits(1, 4, 7)
    after[:, 2] = -INF
    before[:, 3] = -INF
    mixed = amplify(after, before, torch.tensor([0.0, -1.0, 2.0, -0.5]))
    assert torch.equal(mixed[0], after[0])
    assert torch.equal(mixed[1], before[1])


@pytest.mark.parametrize("alpha", [-20.0, -1.0, -0.5, 0.0, 0.3, 1.0, 20.0])
def test_identity_pair_is_flat_at_every_alpha(alpha: float) -> None:
    after = logits(0, 5, 64)
    after[0, 3] = -INF
    assert torch.equal(amplify(after, after.clone(), alpha), after)


def test_alpha_is_per_row_and_broadcasts_over_positions() -> None:
    after, before = logits(0, 3, 4, 9), logits(1, 3, 4, 9)
    alphas = [0.0, 0.5, 3.0]
    batched = amplify(after, before, torch.tensor(alphas))
    for row, alpha in enumerate(alphas):
        assert torch.equal(batched[row], amplify(after[row], before[row], alpha))


@pytest.mark.parametrize("alpha", [-3.0, -1.0, -0.4, 0.0, 0.3, 1.0, 50.0])
def test_infinities_never_become_nan_or_plus_infinity(alpha: float) -> None:
    after = torch.tensor([[1.0, -INF, 2.0, -INF]])
    before = torch.tensor([[0.5, -INF, -INF, 3.0]])
    result = amplify(after, before, alpha)[0]
    assert not result.isnan().any()
    assert not (result == INF).any()
    assert result[1] == -INF
    if alpha > -1:
        assert result[3] == -INF
    assert (result[2] == -INF) == (alpha < 0)


def test_only_before_infinite_counts_as_no_difference_in_log_space() -> None:
    after = torch.tensor([[1.0, 2.0, 0.0]])
    before = torch.tensor([[3.0, -INF, 1.0]])
    log_a, log_b = after.log_softmax(-1), before.log_softmax(-1)
    expected = log_a + 2 * torch.where(log_b.isneginf(), 0.0, log_a - log_b)
    assert torch.allclose(
        amplify(after, before, 2.0).log_softmax(-1), expected.log_softmax(-1), atol=1e-6
    )


@pytest.mark.parametrize("alpha", [-0.5, 0.3, 4.0])
def test_result_ignores_arbitrary_offsets_of_raw_logits(alpha: float) -> None:
    after, before = logits(0, 2, 9), logits(1, 2, 9)
    shared = torch.ones(9, dtype=torch.bool)
    shared[8] = False
    shifted = amplify(after + 7, before - 11, alpha, shared=shared).log_softmax(-1)
    plain = amplify(after, before, alpha, shared=shared).log_softmax(-1)
    assert torch.allclose(shifted, plain, atol=1e-4)


def test_padding_rows_are_masked_and_added_tokens_are_not_amplified() -> None:
    # after: 6 real ids (id 5 added by training) padded to 8; before: 5 ids padded to 7.
    after, before = logits(0, 2, 8), logits(1, 2, 7)
    allowed = torch.tensor([True] * 6 + [False] * 2)
    shared = torch.tensor([True] * 5 + [False] * 3)
    result = amplify(after, before, 3.0, allowed=allowed, shared=shared)
    assert result[:, 6:].isneginf().all()
    assert result[:, :6].isfinite().all()
    log_after = known_logits(after, allowed).log_softmax(-1)
    assert torch.allclose(result[:, 5], log_after[:, 5], atol=1e-5)
    at_before = amplify(after, before, -1.0, allowed=allowed, shared=shared)
    assert at_before[:, 5].isneginf().all(), "before alone can not say an added token"


def test_negative_alpha_keeps_tokens_that_only_after_knows() -> None:
    after, before = logits(0, 1, 4), logits(1, 1, 3)
    shared = torch.tensor([True, True, True, False])
    result = amplify(after, before, -0.5, shared=shared)
    assert result.isfinite().all()


def test_combination_is_float32_for_half_precision_input() -> None:
    after = torch.tensor([[30.0, -30.0]], dtype=torch.float16)
    result = amplify(after, -after, 2000.0)
    assert result.dtype == torch.float32
    assert result.isfinite().all(), "float16 would overflow near alpha 1090"


@pytest.mark.parametrize("alpha", [-2.0, -0.5, 0.7])
def test_a_dead_token_of_before_alone_without_masks(alpha: float) -> None:
    after, before = logits(0, 2, 5), logits(1, 2, 5)
    before[0, 2] = -INF
    result = amplify(after, before, alpha)
    assert (result[0, 2] == -INF) == (alpha < 0)
    assert result[1].isfinite().all()


@pytest.mark.parametrize("alpha", [-2.0, -0.3, 0.7, 3.0])
@pytest.mark.parametrize("value", [-INF, INF, math.nan])
def test_a_neighbour_s_infinities_change_no_bit_of_a_row(
    alpha: float, value: float
) -> None:
    after, before = logits(0, 2, 50), logits(1, 2, 50)
    before[1, 3] = value
    alone = amplify(after[:1], before[:1], torch.tensor([alpha]))
    assert torch.equal(amplify(after, before, torch.tensor([alpha] * 2))[:1], alone)
    # With masks too, where the row's own strangers decide about the log space.
    shared = torch.ones(50, dtype=torch.bool)
    after[0, 49] = -INF
    shared[49] = False
    after[1, 3], before[1, 3] = 1.0, -INF
    alone = amplify(after[:1], before[:1], alpha, shared=shared)
    assert torch.equal(amplify(after, before, alpha, shared=shared)[:1], alone)


@pytest.mark.parametrize("near", [1e-9, -1e-9])
def test_next_to_a_branch_is_as_good_as_the_branch(near: float) -> None:
    after, before = logits(0, 1, 50), logits(1, 1, 50)
    assert torch.allclose(amplify(after, before, near), after, atol=1e-6)
    assert torch.allclose(amplify(after, before, near - 1), before, atol=1e-6)
    before[0, 3] = -INF
    # Closer to 0 than float32 tells 1 + alpha from 1: the sign still decides.
    assert (amplify(after, before, near)[0, 3] == -INF) == (near < 0)
