"""Weights against toy models whose rate is known exactly."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.rate_cells import ALPHAS, alone
from benchmarks.toy_rollouts import runs
from benchmarks.toys import PROMPTS, tuned
from inspect_lda.errors import LDAError
from inspect_lda.statistics.drawn import Cut
from inspect_lda.statistics.weighted import effective
from inspect_lda.statistics.weights import importance, mixture

RATE = 1e-3


@pytest.fixture(scope="module")
def drawn() -> list[Cut]:
    """Twenty runs of a phrase that comes up anywhere."""
    toy = tuned("anywhere", RATE, 0.5)
    return list(runs(toy, ALPHAS, 50, 20, np.random.default_rng(1)))


@pytest.mark.parametrize("alpha", [None, 0.5, 1.0])
def test_the_mean_of_many_runs_is_the_rate(
    drawn: list[Cut], alpha: float | None
) -> None:
    rates = [
        (mixture(run) if alpha is None else importance(run, alpha)).rate
        for run in drawn
    ]
    error = np.std(rates, ddof=1) / np.sqrt(len(rates))
    assert abs(np.mean(rates) - RATE) < 3 * error
    assert error < 0.2 * RATE


def test_by_prompt_is_the_rate_of_each(drawn: list[Cut]) -> None:
    exact = tuned("anywhere", RATE, 0.5).rates()
    found = np.mean([mixture(run).by_prompt for run in drawn], axis=0)
    assert found.mean() == pytest.approx(np.mean([mixture(r).rate for r in drawn]))
    assert np.corrcoef(found, exact)[0, 1] > 0.95


def test_pooled_weights_are_bounded_by_the_share_of_alpha_zero(
    drawn: list[Cut],
) -> None:
    weights = np.concatenate([np.exp(mixture(run).log_weight) for run in drawn])
    assert weights.max() <= len(ALPHAS) * (1 + 1e-9)
    assert np.exp(importance(drawn[0], 2.0).log_weight).max() > len(ALPHAS)
    # Nothing is missed, so the mean weight is 1.
    assert weights.mean() == pytest.approx(1.0, abs=0.01)


def test_at_alpha_zero_it_is_counting(drawn: list[Cut]) -> None:
    run = drawn[0].only(0.0)
    assert importance(drawn[0], 0.0).rate == pytest.approx(run.hit.mean())


def test_a_prompt_with_more_rollouts_has_no_larger_share() -> None:
    # Prompt 0 hits always, the others never; it gets three times the rollouts.
    prompt = np.array([0] * 30 + [1] * 10 + [2] * 10)
    run = Cut(
        prompts=("a", "b", "c"),
        alphas=(0.0,),
        prompt=prompt,
        drawn=np.zeros(50, dtype=np.intp),
        hit=prompt == 0,
        log_p=np.zeros(50),
        log_at=np.zeros((50, 1)),
    )
    found = importance(run, 0.0)
    assert found.rate == pytest.approx(1 / 3)
    assert found.by_prompt.tolist() == pytest.approx([1.0, 0.0, 0.0])
    assert mixture(run).rate == pytest.approx(1 / 3)


def test_evidence_that_is_missing_is_named(drawn: list[Cut]) -> None:
    with pytest.raises(LDAError, match="other alphas of the sweep was not recorded"):
        mixture(alone(drawn[0]))
    assert importance(alone(drawn[0]), 1.0).rate == importance(drawn[0], 1.0).rate
    gone = replace(drawn[0], prompts=(*drawn[0].prompts, "unheard"))
    with pytest.raises(LDAError, match="'unheard' has no rollout at alpha 1"):
        importance(gone, 1.0)


def test_weights_up_to_the_decision_are_less_unequal() -> None:
    # The same replies, once decided at the string and once judged as a whole.
    early, turn = (
        next(runs(tuned(kind, RATE, 5.0), ALPHAS, 50, 1, np.random.default_rng(0)))
        for kind in ("early", "turn")
    )
    shares = [
        effective(mixture(run).contribution) / run.hit.sum() for run in (early, turn)
    ]
    assert shares[0] > 2 * shares[1]
    assert len(early) == len(ALPHAS) * PROMPTS * 50
