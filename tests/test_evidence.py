"""What a rollout records, through JSON and back."""

import math
from dataclasses import replace

import pytest

from inspect_lda.engines.base import Sampling
from inspect_lda.engines.rows import Decoding, RowState
from inspect_lda.evidence import Evidence, evidence_of, finite
from inspect_lda.packing import PackedTokens
from tests.engines.requests import request, told
from tests.tiny import EOS, tiny_tokenizer


def recorded(*steps: tuple[int, float, float]) -> Evidence:
    """The evidence of a row with these (id, log q, log p_after)."""
    decoding = Decoding(tiny_tokenizer(), frozenset({EOS}), 64, "float32", 0)
    asked = replace(request(), sampling=Sampling(), max_tokens=len(steps))
    row = RowState(asked, decoding)
    for token, log_q, log_p in steps:
        row.take(
            token, [log_q, log_p, -math.inf, log_p, 1.0, 0.5, 0.0, 2.0, *[0.0] * 5]
        )
    return told(row.completion())


def test_impossible_tokens_survive_json() -> None:
    made = recorded((5, -0.5, -math.inf), (6, -0.1, -3.0), (7, -1.0, -1.0))
    text = made.model_dump_json()
    assert "Infinity" not in text
    assert "NaN" not in text
    back = evidence_of({"lda": {"evidence": [Evidence.model_validate_json(text)]}})
    assert back == made
    assert (back.log_p_after, back.log_p_before) == (None, None)
    assert (back.log_weight, back.surprise) == (-math.inf, math.inf)
    assert back.first_divergence == 0
    assert back.before_inf == 6
    # An infinite ratio is no JSON number, and a ratio of 0 decides nothing.
    assert [(d.index, d.log_ratio) for d in back.decisive] == [(1, 2.9)]
    assert back.per_token is not None
    assert back.per_token.unpack()["log_p_after"] == [-math.inf, -3.0, -1.0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_garbage_is_an_error_and_no_record(value: float) -> None:
    with pytest.raises(ValueError, match="garbage"):
        finite(value)
    with pytest.raises(ValueError, match="garbage"):
        recorded((5, -0.5, value))


def test_a_damaged_array_is_named() -> None:
    packed = PackedTokens.pack([1, 2], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0])
    one = PackedTokens.pack([1], [0.0], [0.0], [0.0])
    short = packed.model_copy(update={"log_q": one.log_q})
    with pytest.raises(ValueError, match="'log_q' holds 1 values, expected 2"):
        short.unpack()
