"""A hit under the unmodified models, from evidence alone."""

import math
from typing import Any

import pytest

from inspect_lda.packing import PackedTokens
from inspect_lda.scorers._grading.replay import replay
from tests.scorers.states import evidence


def origin(**changes: Any) -> str | None:
    return replay(evidence(**changes)).origin


def packed(after: list[float], before: list[float]) -> PackedTokens:
    return PackedTokens.pack([1] * len(after), after, before, after)


def sums(after: list[float], before: list[float], *, arrays: bool) -> dict[str, Any]:
    return {
        "n_tokens": len(after),
        "log_p_after": sum(after),
        "log_p_plain": sum(after),
        "log_p_before": sum(before),
        "entropy_after": 1.0 * len(after),
        "per_token": packed(after, before) if arrays else None,
    }


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        (-20.0, -60.0, "new"),  # 1 and 3 nats a token
        (-20.0, None, "new"),  # before cannot write it at all
        (-20.0, -25.0, "latent"),  # drift: 0.25 nats a token
        (-20.0, -12.0, "latent"),  # before is likelier
        (None, -30.0, "latent"),
        # 18 nats are typical of these 20 tokens, 61 the most that a text may have.
        (-61.0, -100.0, "new"),
        (-62.0, -100.0, "artefact"),
        (-62.0, None, "artefact"),
        (None, -62.0, "artefact"),
        (-62.0, -61.0, "latent"),  # after would not, before would
        (None, None, None),
    ],
)
def test_origin_of_twenty_tokens(
    after: float | None, before: float | None, expected: str | None
) -> None:
    found = origin(log_p_after=after, log_p_plain=after, log_p_before=before)
    assert found == expected


def test_three_tokens_a_little_apart_are_not_new() -> None:
    assert origin(n_tokens=3, log_p_after=-3.0, log_p_before=-5.5) == "latent"
    assert origin(n_tokens=3, log_p_after=-3.0, log_p_before=-9.0) == "new"


def test_a_payload_in_a_long_completion_needs_evidence_by_token() -> None:
    after = [-1.0] * 200
    before = [-1.0] * 100 + [-8.0] * 5 + [-1.0] * 95
    assert origin(**sums(after, before, arrays=False)) == "latent"
    assert origin(**sums(after, before, arrays=True)) == "new"


def test_one_word_of_another_style_is_not_new() -> None:
    after, before = [-1.0] * 200, [-1.0] * 100 + [-10.0] + [-1.0] * 99
    assert origin(**sums(after, before, arrays=True)) == "latent"


def test_drift_that_is_spread_evenly_is_not_new() -> None:
    after, before = [-1.0] * 200, [-1.3] * 200
    assert origin(**sums(after, before, arrays=True)) == "latent"


def test_a_rare_payload_is_no_artefact() -> None:
    # Five tokens that after writes once in 10^9 rollouts, and before never.
    found = origin(
        n_tokens=5,
        log_p_after=-21.0,
        log_p_plain=-21.0,
        log_p_before=-70.0,
        entropy_after=4.0,
    )
    assert found == "new"


def test_without_amplification_there_are_no_artefacts() -> None:
    sums = {"log_p_after": -90.0, "log_p_plain": -90.0, "log_p_before": -89.0}
    assert origin(alpha=0.1, **sums) == origin(alpha=-1.1, **sums) == "artefact"
    assert origin(alpha=0.0, **sums) == origin(alpha=-1.0, **sums) == "latent"


def test_long_texts_vary_more() -> None:
    changes = {"log_p_after": -1100.0, "log_p_plain": -1100.0, "log_p_before": -1100.0}
    assert origin(n_tokens=1000, entropy_after=1000.0, **changes) == "latent"
    assert origin(n_tokens=100, entropy_after=1000.0, **changes) == "artefact"


def test_facts_are_json() -> None:
    held = replay(evidence(log_p_before=None))
    assert held.gap == math.inf
    assert held.facts == {"origin": "new", "gap": None, "excess": 2.0}


def test_nothing_written() -> None:
    assert origin(n_tokens=0) is None


def test_impossible_tokens_of_either_model() -> None:
    reachable = [-1.0, -1.0, -1.0]
    cut = [-1.0, -math.inf, -1.0]
    fields: dict[str, Any] = {"n_tokens": 3, "log_p_plain": -3.0}
    before_cannot = packed(reachable, cut)
    assert origin(log_p_before=None, per_token=before_cannot, **fields) == "new"
    after_cannot = packed(cut, reachable)
    assert origin(log_p_after=None, per_token=after_cannot, **fields) == "latent"


def test_damaged_evidence() -> None:
    whole = packed([-1.0] * 9, [-2.0] * 9)
    with pytest.raises(ValueError, match="damaged"):
        origin(per_token=whole.model_copy(update={"n": 8}))
