"""A score in parts asks for all of it, and each part fits into a row of logits."""

from dataclasses import replace

from inspect_lda.engines.base import Sampling, Scored, ScoreRequest, TokenCurves
from inspect_lda.engines.server.parts import joined, parts_of
from inspect_lda.engines.vllm.draw import columns, draw_of_score
from inspect_lda.engines.vllm.record import MOST_COLUMNS

WHOLE = ScoreRequest(
    (1, 2),
    (3, 4),
    tuple(i / 10 for i in range(100)),
    sampling=Sampling(temperature=0.7),
    curves=tuple(i / 10 for i in range(100)),
)


def test_parts_fit_and_ask_for_all() -> None:
    parts = parts_of(WHOLE)
    assert all(len(columns(draw_of_score(one))) <= MOST_COLUMNS for one in parts)
    assert sum((one.alphas for one in parts), ()) == WHOLE.alphas
    assert sum((one.curves for one in parts), ()) == WHOLE.curves
    assert [one.sampling for one in parts if one.sampling] == [WHOLE.sampling]
    small = ScoreRequest((1,), (2,), (0.5,))
    assert parts_of(small) == [small]
    bare = replace(small, alphas=())
    assert parts_of(bare) == [bare]


def test_answers_are_joined_in_order() -> None:
    answers = []
    for one in parts_of(WHOLE):
        rows = tuple((alpha, alpha + 1) for alpha in one.curves)
        answers.append(
            Scored(
                log_q=tuple((-alpha, -alpha - 1) for alpha in one.alphas),
                log_p_after=(-1.0, -2.0),
                log_p_before=(-3.0, -4.0),
                steps=((0.0,),) if one.sampling else (),
                curves=TokenCurves(rows, rows, rows) if rows else None,
            )
        )
    whole = joined(WHOLE, answers)
    assert [one[0] for one in whole.log_q] == [-alpha for alpha in WHOLE.alphas]
    assert whole.steps == ((0.0,),)
    assert whole.curves is not None
    assert [one[1] for one in whole.curves.kl] == [a + 1 for a in WHOLE.curves]
    alone = joined(replace(WHOLE, curves=()), answers[:1])
    assert alone.curves is None
