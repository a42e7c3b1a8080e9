"""Teacher forcing: known starts exactly, hazards against known rates."""

import numpy as np
import pytest

from benchmarks.toy_hazards import plain_rollouts
from benchmarks.toys import PHRASE, tuned
from inspect_lda.errors import LDAError
from inspect_lda.statistics.known import hazards, known_start
from inspect_lda.statistics.true_rate import true_rate


def test_a_known_start_is_exact() -> None:
    found = true_rate(known={"a": np.log(1e-4), "b": np.log(3e-6), "c": -np.inf})
    assert found.method == "exact"
    assert found.rate == pytest.approx((1e-4 + 3e-6) / 3)
    assert found.interval == (found.rate, found.rate)
    assert found.population is None
    assert [one.prompt for one in found.prompts] == ["a", "b", "c"]
    assert found.prompts[0].share == pytest.approx(1e-4 / 1.03e-4)


@pytest.mark.parametrize("wrong", [{}, {"a": 0.1}, {"a": float("nan")}])
def test_what_is_no_probability_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(LDAError):
        known_start(wrong)


@pytest.mark.parametrize("rate", [0.1, 1e-5])
def test_hazards_sum_to_the_rate(rate: float) -> None:
    # At 0.1 many replies say it: what comes after the first time must not count.
    toy = tuned("anywhere", rate, 1.0)
    rng = np.random.default_rng(4)
    found = [hazards(plain_rollouts(toy, 20, rng), PHRASE).rate for _ in range(20)]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - rate) < 3 * error
    assert error < 0.01 * rate


def test_a_phrase_that_was_never_said_has_a_rate() -> None:
    toy = tuned("anywhere", 1e-5, 1.0)
    rollouts = plain_rollouts(toy, 20, np.random.default_rng(7))
    assert not any(one.hit for one in rollouts)
    found = true_rate(rollouts, phrase=PHRASE)
    assert found.method == "hazard"
    assert found.interval is not None
    assert found.interval.lower < 1e-5 < found.interval.upper
    assert found.plain_rollouts is not None
    assert found.plain_rollouts > 1e6


def test_hazards_need_their_evidence() -> None:
    toy = tuned("anywhere", 1e-3, 1.0)
    rollouts = plain_rollouts(toy, 2, np.random.default_rng(6))
    with pytest.raises(LDAError, match="phrase="):
        true_rate(rollouts, method="hazard")
    with pytest.raises(LDAError, match="score the phrase along them"):
        hazards([], PHRASE)
