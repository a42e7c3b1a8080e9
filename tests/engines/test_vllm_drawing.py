"""Rows that a served pair draws are those of the sampler, bit for bit."""

import math

import pytest
import torch
from torch import Tensor

from inspect_lda.checkpoints.block import IdsBlock
from inspect_lda.engines.base import (
    EngineError,
    Nets,
    Request,
    Sampling,
    ScoreRequest,
)
from inspect_lda.engines.forced_rows import ForcedRows
from inspect_lda.engines.rows import Decoding, RowState
from inspect_lda.engines.sampler import Sampler
from inspect_lda.engines.vllm.combine import Combine, mask
from inspect_lda.engines.vllm.draw import (
    Draw,
    Drawn,
    draw_of,
    draw_of_score,
    read_step,
    scored_of,
)
from inspect_lda.engines.vllm.drawing import Drawing
from inspect_lda.engines.vllm.slots import Slot

SIZE, END = 160, 9
# Three ids of padding, one that no tokenizer knows, and one that only `after` knows.
IDS = IdsBlock(size=SIZE, allowed=[(0, 20), (21, 157)], shared=[(0, 20), (21, 156)])
ALLOWED, SHARED = mask(IDS.allowed, 157), mask(IDS.shared, 157)
START = 3
CPU = torch.device("cpu")

REQUESTS = [
    Request((5, 6, 7), 0.5, Sampling(seed=3), 8, top_logprobs=3, also=(0.0, 1.0, 3.0)),
    Request((5, 6, 7), 0.0, Sampling(temperature=0, seed=4), 8),
    Request((5, 6, 7), 3.0, Sampling(0.7, 12, 0.9, seed=5), 8, support=16),
    Request((5, 6, 7), -1.0, Sampling(logit_bias={3: 5.0}, seed=6), 8, placebo=True),
    Request(
        (5, 6, 7), 2.0, Sampling(seed=7), 8, nets=Nets(first_k=2, plausibility=0.1)
    ),
]
SCORE = ScoreRequest(
    (5, 6, 7), (8, 12, 30, 2), (0.0, 1.0), 0.8, nets=Nets(first_k=2),
    sampling=Sampling(presence_penalty=0.5), curves=(0.0, 1.0),
)  # fmt: skip


def logits(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Of both checkpoints."""
    generator = torch.Generator().manual_seed(seed)
    after = torch.randn(rows, SIZE, generator=generator) * 3
    return after, after + torch.randn(rows, SIZE, generator=generator)


def side(*rows: tuple[float, float, float]) -> Tensor:
    """Alpha, slot and position of every row."""
    return torch.tensor(rows)


def slot(draw: Draw, alpha: float, prompt: int = START) -> Slot:
    found = Slot.of(draw.extra_args(alpha), 0.0, prompt, 157)
    assert found is not None
    return found


def drawing(*slots: Slot) -> Drawing:
    made = Drawing(IDS, END, CPU)
    made.slots = dict(enumerate(slots, start=1))
    return made


def combined(after: Tensor, before: Tensor, alpha: Tensor) -> Tensor:
    amplified: Tensor = Combine(IDS)(after, before, alpha)
    return amplified


def heard(draw: Draw, row: Tensor) -> Drawn:
    """What a client reads of the most likely id of a row."""
    logprobs = row.log_softmax(-1)
    return read_step(draw, int(row.argmax()), dict(enumerate(logprobs.tolist())))


def test_rows_are_those_of_the_sampler() -> None:
    decoding = Decoding(None, frozenset(), 1000, "float32", 0)
    states = [RowState(one, decoding) for one in REQUESTS]
    sampler = Sampler(ALLOWED, SHARED)
    draws = [draw_of(one) for one in REQUESTS]
    server = drawing(
        *(slot(draw, one.alpha) for draw, one in zip(draws, REQUESTS, strict=True))
    )
    for step in range(6):
        after, before = logits(len(REQUESTS), seed=step)
        right = sampler(after, before, states)
        beside = side(
            *(
                (one.alpha, index + 1, START - 1 + step)
                for index, one in enumerate(REQUESTS)
            )
        )
        rows = server(after, before, beside, combined)
        for row, draw, state, token in zip(rows, draws, states, right, strict=True):
            said = heard(draw, row)
            assert said.token == token
            assert said.values[1] == state.log_p_after[-1]
            assert said.values[3] == state.log_p_plain[-1]
            assert said.also == tuple(state.others[-1])
            if state.request.top_logprobs:
                assert said.top == state.logprobs[-1].top


def test_rows_may_come_in_any_order_and_again() -> None:
    draw = draw_of(REQUESTS[0])
    after, before = logits(4, seed=1)
    order = [3, 1, 1, 0]
    beside = side(*((0.5, 1, START - 1 + step) for step in order))
    rows = drawing(slot(draw, 0.5))(after[order], before[order], beside, combined)
    for row, step in zip(rows, order, strict=True):
        alone = drawing(slot(draw, 0.5))(
            after[step : step + 1],
            before[step : step + 1],
            side((0.5, 1, START - 1 + step)),
            combined,
        )
        assert torch.equal(row, alone[0])


def test_other_rows_are_amplified_as_ever() -> None:
    after, before = logits(6, seed=2)
    server = drawing(slot(draw_of(REQUESTS[0]), 0.5))
    # Nobody's, a garbage slot, an unknown one, one inside the prompt, and two drawn.
    beside = side(
        (0.5, 0, 9), (1.0, 0.37, 9), (-1.0, 5, 9), (2.0, 1, START - 2),
        (0.5, 1, START - 1), (0.5, 1, START),
    )  # fmt: skip
    rows = server(after, before, beside, combined)
    plain = combined(after, before, beside[:, 0])
    assert torch.equal(rows[:4], plain[:4])
    assert all(int((row == 0).sum()) == 1 for row in rows[4:])
    nobody = side(*[(0.5, 0, 9)] * 6)
    expected = combined(after, before, nobody[:, 0])
    assert torch.equal(server(after, before, nobody, combined), expected)


@pytest.mark.parametrize("prompt", [START, START + len(SCORE.continuation)])
def test_given_tokens_are_judged_wherever_they_stand(prompt: int) -> None:
    draw, count = draw_of_score(SCORE), len(SCORE.continuation)
    after, before = logits(count + 2, seed=3)
    # The last row of the prompt before it, and one behind the given tokens.
    beside = side(*((0.0, 1, START - 2 + row) for row in range(count + 2)))
    rows = drawing(slot(draw, 0.0, prompt))(after, before, beside, combined)
    said = [
        read_step(draw, token, dict(enumerate(row.log_softmax(-1).tolist())))
        for token, row in zip(SCORE.continuation, rows[1:], strict=False)
    ]
    right = ForcedRows(ALLOWED, SHARED)(SCORE, after[1:-1], before[1:-1])
    assert scored_of(draw, said) == right
    plain = combined(after, before, beside[:, 0])
    assert torch.equal(rows[[0, -1]], plain[[0, -1]])
    single = [
        ForcedRows(ALLOWED, SHARED)(SCORE, after[i + 1, None], before[i + 1, None], i)
        for i in range(count)
    ]
    for i, one in enumerate(single):
        assert one.log_p_after[0] == pytest.approx(right.log_p_after[i], abs=1e-6)
        assert one.steps[0] == pytest.approx(right.steps[i], abs=1e-5)


def test_a_row_without_a_token_ends_its_request_alone() -> None:
    draw = draw_of(REQUESTS[1])
    after, before = logits(2, seed=4)
    after[0] = math.nan
    beside = side((0.0, 1, START - 1), (0.0, 1, START - 1))
    rows = drawing(slot(draw, 0.0))(after, before, beside, combined)
    bad, good = (heard(draw, row) for row in rows)
    assert bad.token == END
    assert math.isnan(bad.values[0])
    assert good.values[0] == 0.0 or math.isfinite(good.values[0])


@pytest.mark.parametrize(
    ("change", "prompt", "words"),
    [
        ({}, START + 1, "not the length of the prompt"),
        ({"sampling": Sampling(logit_bias={157: 1.0})}, START, "names a token id"),
    ],
)
def test_a_refused_request_is_told_why(
    change: dict[str, object], prompt: int, words: str
) -> None:
    draw = draw_of(REQUESTS[0]).model_copy(update=change)
    after, before = logits(1, seed=5)
    server = drawing(slot(draw, 0.5, prompt))
    [row] = server(after, before, side((0.5, 1, prompt - 1)), combined)
    with pytest.raises(EngineError, match=words):
        heard(draw, row)


def test_drafted_rows_are_refused() -> None:
    draw = draw_of(REQUESTS[0])
    found = Slot.of(draw.extra_args(0.5), 0.0, START, 157, drafts=True)
    assert found is not None
    after, before = logits(1, seed=6)
    [row] = drawing(found)(after, before, side((0.5, 1, START - 1)), combined)
    with pytest.raises(EngineError, match="speculates"):
        heard(draw, row)


def test_a_vocabulary_too_small_for_an_answer_gives_none() -> None:
    extra = draw_of(REQUESTS[0]).extra_args(0.5)
    assert Slot.of(extra, 0.0, START, 20) is None
