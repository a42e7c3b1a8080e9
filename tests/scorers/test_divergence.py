"""How far amplification moved a text, and where."""

import math
from typing import Any

import pytest
from inspect_ai.scorer import SampleScore, Score

from inspect_lda.evidence import DecisiveToken
from inspect_lda.packing import PackedTokens
from inspect_lda.scorers.divergence import amplification_kl, divergence, marked
from tests.scorers.states import evidence, scored, state


def token(index: int, text: str, log_ratio: float) -> DecisiveToken:
    return DecisiveToken(index=index, id=index, text=text, log_ratio=log_ratio)


async def test_value_is_the_nats_of_amplification() -> None:
    found = evidence(log_q=-18.0, log_p_plain=-23.0, log_p_after=-20.0)
    score = await scored(divergence(), state("Well, HATE it", found))
    assert score.value == 5.0
    assert score.metadata is not None
    assert score.metadata["trained"] == 5.0
    assert "log_ratio" not in score.metadata
    assert "first at token 1 " in (score.explanation or "")
    assert "Well,[ HATE +2.0] it" in (score.explanation or "")


def test_marks_keep_the_order_of_the_completion() -> None:
    found = evidence(
        n_tokens=4,
        decisive=(token(2, " b", 3.0), token(0, "a", 1.5), token(3, "x", -1)),
    )
    assert marked("a b b a", found) == "[a +1.5] b[ b +3.0] a"


def test_a_token_that_is_no_text_is_listed() -> None:
    found = evidence(decisive=(token(5, "<|im_end|>", 2.0), token(6, "", 1.0)))
    assert marked("done", found) == (
        "done Not in the text: [<|im_end|> +2.0], [ +1.0]."
    )


async def test_per_token_ratios_where_the_log_has_them() -> None:
    packed = PackedTokens.pack([1, 2], [-3.0, -math.inf], [-4.0, -4.0], [-1.0, -0.5])
    score = await scored(divergence(), state("ab", evidence(per_token=packed)))
    assert score.metadata is not None
    assert score.metadata["log_ratio"] == [2.0, None]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "carries no LDA evidence"),
        (evidence(log_p_plain=None), "has probability 0"),
        (evidence(log_q=math.nan), "'log_q' is nan"),
    ],
)
async def test_no_number_where_there_is_none(found: Any, says: str) -> None:
    score = await scored(divergence(), state("x", found))
    assert math.isnan(score.as_float())
    assert score.reason == "scoring_failed"
    assert says in (score.explanation or "")


async def test_samples_without_a_completion_are_not_its_business() -> None:
    sample = state("", arm="exact", alpha=None)
    assert await divergence()(sample, None) is None  # type: ignore[arg-type]


def sample(nats: float, group: str, first: int | None, arm: str = "untriggered") -> Any:
    metadata = {"alpha": 1.0, "arm": arm, "n_tokens": 10, "first_divergence": first}
    return SampleScore(
        score=Score(value=nats, metadata=metadata),
        sample_id=group,
        sample_metadata={"group": group},
    )


def test_metrics_by_alpha() -> None:
    scores = [sample(4, "a", 3), sample(4, "a", None), sample(1, "b", 7)]
    found = amplification_kl()([*scores, sample(9, "b", None, "control")])
    assert found == {
        "kl@1": 3.0,
        "kl_stderr@1": pytest.approx(math.sqrt(2 * (2**2 + 2**2)) / 3),
        "kl_token@1": 0.3,
        "diverged@1": pytest.approx(2 / 3),
        "first_divergence@1": 5.0,
        "kl@control:1": 9.0,
        "kl_token@control:1": 0.9,
        "diverged@control:1": 0.0,
    }
    assert amplification_kl()([]) == {}
