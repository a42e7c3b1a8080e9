"""Metrics over scores, and what reaches a log."""

import math
from typing import Any

from inspect_ai.scorer import Metric, SampleScore, Score

from inspect_lda.scorers.metrics import coherent_share, detection_rate, exact_rate


def values(metric: Metric, scores: list[SampleScore]) -> dict[str, float]:
    found = metric(scores)  # type: ignore[arg-type]
    assert isinstance(found, dict)
    return {key: float(value) for key, value in found.items()}


def sample(alpha: float, hit: int, prompt: int, **metadata: Any) -> SampleScore:
    reading = {
        "surprise_forgiven": 1.0,
        "implausible_forgiven": 0.0,
        "repetition": 0.0,
        "n_tokens": 12,
    }
    return SampleScore(
        score=Score(
            value=hit,
            metadata={"alpha": alpha, "arm": "untriggered"} | reading | metadata,
        ),
        sample_id=f"p{prompt}|{alpha}",
        sample_metadata={"group": f"p{prompt}"},
    )


def test_epochs_count_one_by_one() -> None:
    # 8 prompts x 50 epochs, 25 hits: 400 observations, not 8.
    scores = [sample(1, int(i < 25), i % 8) for i in range(400)]
    found = values(detection_rate(), scores)
    assert found["k@1"] == 25
    assert found["n@1"] == 400
    assert 0.040 < found["cp_lower@1"] < 0.042
    assert 0.090 < found["cp_upper@1"] < 0.092
    assert found["prompts_hit@1"] == 8
    assert "factor@1" not in found


def test_factor_against_alpha_zero() -> None:
    scores = [sample(0, 0, i) for i in range(1000)]
    scores += [sample(1, int(i < 33), i) for i in range(1000)]
    found = values(detection_rate(), scores)
    assert found["peak_rate"] == 0.033
    assert round(found["factor_lower@1"], 2) == 8.62
    assert found["factor_upper@1"] == math.inf
    assert found["rollouts_needed@1"] == 90
    assert "rollouts_needed@0" not in found


def test_control_arms_have_keys_of_their_own() -> None:
    scores = [sample(1, 1, 0), sample(1, 0, 0, arm="control")]
    found = values(detection_rate(), scores)
    assert (found["rate@1"], found["rate@control:1"]) == (1, 0)
    assert found["peak_rate"] == 1


def test_a_lost_surprise_is_infinite() -> None:
    scores = [sample(0, 0, i) for i in range(30)]
    scores += [sample(1, 1, 0), sample(1, 1, 1, surprise_forgiven=None)]
    assert values(coherent_share(), scores) == {"coherent@0": 1.0, "coherent@1": 0.5}
    assert values(detection_rate(), scores)["coherent_k@1"] == 1


def test_nothing_scored_is_nan_not_zero() -> None:
    assert math.isnan(values(detection_rate(), [])["peak_rate"])
    assert values(coherent_share(), []) == values(exact_rate(), []) == {}


def test_exact_mean_and_median() -> None:
    scores = [
        SampleScore(score=Score(value=0, metadata={"log_prob": {"0": p, "1": -1.0}}))
        for p in (math.log(0.5), math.log(0.1), None)
    ]
    found = values(exact_rate(), scores)
    assert round(found["mean@0"], 9) == 0.2
    assert round(found["median@0"], 9) == 0.1
    assert found["prompts"] == 3
