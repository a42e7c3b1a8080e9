"""The batch in parts, rows that need care, and what is recorded of each row."""

import math

import pytest
import torch
from torch import Tensor

from inspect_lda.engines import sampler as module
from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.rows import Decoding, RowState
from inspect_lda.engines.sampler import Sampler
from tests.engines.requests import PROMPTS
from tests.tiny import EOS, tiny_tokenizer

V = 600
ASKED = (
    (1.0, Sampling(seed=1), None),
    (0.0, Sampling(seed=2, temperature=0.5), 0),
    (-0.5, Sampling(seed=3, top_p=0.8), 3),
    (3.0, Sampling(seed=4, top_k=30, frequency_penalty=1.0), 2),
    (1.0, Sampling(seed=5, temperature=0), None),
    (-1.0, Sampling(seed=6, min_p=0.01, logit_bias={7: 3.0}), 1),
    (0.5, Sampling(seed=7, temperature=1.5), None),
)
EVERYTHING = torch.ones(V, dtype=torch.bool)


def make_rows(steps: int = 4) -> list[RowState]:
    decoding = Decoding(tiny_tokenizer(), frozenset({EOS + V}), 99, "float32", 0)
    return [
        RowState(
            Request(PROMPTS[0], alpha, sampling, steps, top_logprobs=top), decoding
        )
        for alpha, sampling, top in ASKED
    ]


def logits(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    after = 3 * torch.randn(len(ASKED), V, generator=generator)
    return after, after + torch.randn(after.shape, generator=generator)


def recorded(row: RowState) -> list[float]:
    top = [n for shown in row.logprobs for entry in shown.top for n in entry]
    return [*row.tokens, *row.log_q, *row.log_p_after, *row.kl, row.entropy, *top]


def run(sampler: Sampler, rows: list[RowState], steps: int = 4) -> list[list[float]]:
    for step in range(steps):
        assert sampler(*logits(step), rows) == [row.tokens[-1] for row in rows]
    return [recorded(row) for row in rows]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_parts_of_a_batch_are_as_good_as_the_whole(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(Sampler(EVERYTHING, EVERYTHING), make_rows())
    monkeypatch.setattr(module, "CPU_BYTES", 4 * V * most)
    parts = run(Sampler(EVERYTHING, EVERYTHING), make_rows())
    for got, expected in zip(parts, whole, strict=True):
        assert got == pytest.approx(expected, abs=2e-5)


def test_logprobs_are_as_many_as_each_row_asked_for() -> None:
    rows = make_rows()
    run(Sampler(EVERYTHING, EVERYTHING), rows)
    for row, (_, _, top) in zip(rows, ASKED, strict=True):
        assert len(row.logprobs) == (0 if top is None else 4)
        for shown, token, log_q in zip(
            row.logprobs, row.tokens, row.log_q, strict=False
        ):
            assert len(shown.top) == top
            assert (shown.token, shown.logprob) == (token, log_q)


def test_finished_rows_are_drawn_and_not_recorded() -> None:
    rows = make_rows(steps=2)
    sampler = Sampler(EVERYTHING, EVERYTHING)
    run(sampler, rows, 2)
    before = [recorded(row) for row in rows]
    assert len(sampler(*logits(2), rows)) == len(rows)
    assert [recorded(row) for row in rows] == before


@pytest.mark.parametrize("value", [-math.inf, math.nan, math.inf])
def test_a_row_that_needs_care_gets_it_and_leaves_the_others_alone(
    value: float,
) -> None:
    plain, rows = make_rows(), make_rows()
    sampler = Sampler(EVERYTHING, EVERYTHING)
    odd = (0, 2, 3, 5)
    for step in range(3):
        after, before = logits(step)
        sampler(after, before, plain)
        before[list(odd), 11] = value
        sampler(after, before, rows)
    for index, (row, other) in enumerate(zip(rows, plain, strict=True)):
        if index not in odd:
            assert recorded(row) == recorded(other)
        elif value == -math.inf:
            # An id that only `after` can say: counted once a step.
            assert (row.error, row.before_inf, other.before_inf) == (None, 3, 0)
            assert all(map(math.isfinite, row.kl))
            assert len(row.tokens) == len(row.log_q) == 3
        elif math.isnan(value):
            assert row.error is not None
            assert row.tokens == []


def test_the_memory_of_a_step_serves_the_next() -> None:
    sampler = Sampler(EVERYTHING, EVERYTHING)
    rows = make_rows()
    run(sampler, rows, 1)
    memory = sampler._scratch.mass.data_ptr()
    run(sampler, rows, 2)
    assert sampler._scratch.mass.data_ptr() == memory
