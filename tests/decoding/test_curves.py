"""Curves of the amplified distribution: equal to its definition in float64."""

import pytest
import torch
from torch import Tensor

from inspect_lda.decoding.amplify import amplify
from inspect_lda.decoding.curves import Curves, curves

ALPHAS = (0.0, 0.01, 0.5, 3.0, 40.0)


def logits(rows: int, width: int, seed: int, spread: float = 3.0) -> Tensor:
    """Random logits with an offset a row, which must not matter."""
    made = torch.Generator().manual_seed(seed)
    offset = 5 * torch.randn(rows, 1, generator=made)
    return spread * torch.randn(rows, width, generator=made) + offset


def reference(
    after: Tensor, before: Tensor, temperature: float, **known: Tensor | None
) -> Curves:
    """Every expectation as it is defined, of `amplify`'s own logits."""
    made = []
    for alpha in ALPHAS:
        mixed = amplify(after, before, alpha, **known) / temperature
        plain = amplify(after, before, 0.0, **known) / temperature
        log_q = mixed.double().log_softmax(-1)
        log_p = plain.double().log_softmax(-1)
        q, possible = log_q.exp(), ~log_p.isneginf()
        zero = torch.zeros(())
        implausible = log_p < log_p.amax(-1, keepdim=True) + torch.log(
            torch.tensor(1e-3, dtype=torch.float64)
        )
        made.append(
            torch.stack(
                [
                    torch.where(possible, q * (log_q - log_p), zero).nansum(-1),
                    -torch.where(possible, q * log_p, zero).sum(-1),
                    (q * implausible).sum(-1),
                ]
            )
        )
    return Curves(*torch.stack(made, dim=1))


def agree(found: Curves, exact: Curves) -> None:
    """Relative to 1e-4, and absolute to what float32 logits of this size round to."""
    for name in Curves._fields:
        ours, theirs = getattr(found, name).double(), getattr(exact, name)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0])
def test_curves_are_the_expectations_under_the_amplified_distribution(
    temperature: float,
) -> None:
    after, before = logits(7, 501, 1), logits(7, 501, 2)
    before = 0.7 * after + 0.3 * before
    found = curves(after, before, ALPHAS, temperature=temperature)
    assert found.kl.shape == (len(ALPHAS), 7)
    agree(found, reference(after, before, temperature))


def test_ids_that_one_side_lacks_keep_their_place() -> None:
    after, before = logits(4, 60, 3), logits(4, 57, 4)
    allowed = torch.arange(58) < 56
    shared = allowed & (torch.arange(58) != 20)
    known = {"allowed": allowed, "shared": shared}
    found = curves(after, before, ALPHAS, temperature=0.7, **known)
    agree(found, reference(after, before, 0.7, **known))


def test_infinities_of_a_row_are_no_nan() -> None:
    after, before = logits(3, 40, 5), logits(3, 40, 6)
    after[0, 3] = before[1, 7] = -torch.inf
    after[2, 9] = before[2, 9] = -torch.inf
    found = curves(after, before, ALPHAS)
    agree(found, reference(after, before, 1.0))


def test_alpha_zero_costs_nothing_even_in_a_large_vocabulary() -> None:
    after, before = logits(5, 150_000, 7, 1.0), logits(5, 150_000, 8, 1.0)
    found = curves(after, before, (0.0, 1e-3))
    assert found.kl[0].max() < 1e-6
    assert (found.kl[1] > 1e-8).all()


def test_many_rows_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    after, before = logits(11, 64, 9), logits(11, 64, 10)
    whole = curves(after, before, ALPHAS)
    monkeypatch.setattr("inspect_lda.decoding.curves.MAX_ELEMENTS", 3 * 64)
    for ours, theirs in zip(curves(after, before, ALPHAS), whole, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_negative_alphas_are_refused() -> None:
    with pytest.raises(ValueError, match="from 0"):
        curves(logits(1, 4, 0), logits(1, 4, 1), (-0.5,))
