"""The choice of an estimator, the validity rule, and what a refusal proposes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.rate_cells import ALPHAS, alone
from benchmarks.toy_rollouts import runs
from benchmarks.toys import Kind, tuned
from inspect_lda.errors import LDAError
from inspect_lda.statistics.clusters import Cluster
from inspect_lda.statistics.drawn import Cut, Rollout, cut
from inspect_lda.statistics.intervals import clopper_pearson
from inspect_lda.statistics.plain import plain_needed
from inspect_lda.statistics.true_rate import HIDDEN, true_rate

WORDS = 20


def run(kind: Kind, rate: float, noise: float, seed: int = 0, each: int = 50) -> Cut:
    """One run of a toy."""
    toy = tuned(kind, rate, noise)
    return next(runs(toy, ALPHAS, each, 1, np.random.default_rng(seed)))


def turning(each: int, alphas: Sequence[float], first_k: int | None) -> list[Rollout]:
    """A reply that turns at its first token (1e-4), and 20 words that differ noisily.

    `before` never turns as often: amplification raises it 100 times at alpha 1. A judge
    reads all of it.
    """
    rng = np.random.default_rng(1)
    words = np.log(np.full(WORDS, 1 / WORDS))
    delta = rng.normal(0, 0.5, WORDS)
    turn, lift = np.log([1e-4, 1 - 1e-4]), np.array([np.log(100.0), 0.0])

    def amplified(logits: np.ndarray, raised: np.ndarray, alpha: float) -> np.ndarray:
        found = logits + alpha * raised
        return np.asarray(found - np.log(np.exp(found).sum()))

    made = []
    for alpha in alphas:
        first = amplified(turn, lift, alpha)
        rest = amplified(words, delta, alpha if first_k is None else 0.0)
        for _ in range(each):
            opening = int(rng.random() >= np.exp(first[0]))
            said = rng.choice(WORDS, 30, p=np.exp(rest))
            along = {
                a: np.concatenate(
                    [
                        amplified(turn, lift, a)[[opening]],
                        amplified(words, delta, a if first_k is None else 0.0)[said],
                    ]
                )
                for a in {0.0, *alphas}
            }
            made.append(
                Rollout(
                    "a",
                    alpha,
                    opening == 0,
                    along[0.0],
                    along[alpha],
                    along,
                    first_k=first_k,
                )
            )
    return made


def test_all_rollouts_are_pooled_where_evidence_allows() -> None:
    found = true_rate(run("early", 1e-4, 1.0))
    assert found.method == "mixture"
    assert found.valid
    assert found.refused == ()
    assert found.plan is None
    assert found.rate == pytest.approx(1e-4, rel=0.3)
    assert found.interval is not None
    assert found.interval.lower < 1e-4 < found.interval.upper
    assert found.plain_rollouts is not None
    assert found.plain_rollouts > 50 * 2000
    assert found.notes == (HIDDEN,)
    assert found.diagnostics is not None
    assert found.diagnostics.rollouts == 2000
    assert found.diagnostics.plain == Cluster(0, 500)
    assert sum(one.share for one in found.prompts) == pytest.approx(1)
    rates = [one.rate for one in found.prompts]
    assert rates == sorted(rates, reverse=True)


def test_one_alpha_where_evidence_at_others_is_missing() -> None:
    found = true_rate(alone(run("early", 1e-4, 1.0)))
    assert found.method == "importance"
    assert found.valid
    assert found.diagnostics is not None
    assert found.diagnostics.alphas == (2.0,)
    assert "alpha 2 alone" in found.why
    assert found.diagnostics.rollouts == 500


def test_heavy_weights_are_no_rate() -> None:
    found = true_rate(run("diffuse", 1e-4, 5.0))
    assert not found.valid
    assert found.interval is None
    assert found.plain_rollouts is None
    assert "at least 10 are needed" in found.refused[0]
    assert found.magnitude is not None
    assert -6 < found.magnitude.log10 < -2


def test_no_hit_proposes_nothing() -> None:
    silent = run("early", 1e-4, 1.0)
    found = true_rate(replace(silent, hit=np.zeros(len(silent), dtype=np.bool_)))
    assert found.refused == ("no hit in 2000 rollouts",)
    assert found.plan is None
    assert found.magnitude is None


def test_what_is_frequent_is_counted() -> None:
    found = true_rate(run("diffuse", 0.05, 20.0))
    assert found.method == "plain"
    assert "alpha 0 has hits enough to count" in found.why
    assert found.diagnostics is not None
    assert found.interval == clopper_pearson(*found.diagnostics.plain)
    assert found.notes == ()


def test_the_plain_check_can_speak_against_weights() -> None:
    shown = run("early", 1e-4, 1.0)
    # 40 hits at alpha 0, where weights of one amplified alpha say 1e-4.
    hit = shown.hit.copy()
    hit[np.flatnonzero(shown.drawn == 0)[:40]] = True
    found = true_rate(alone(replace(shown, hit=hit)), method="importance")
    assert not found.valid
    assert "40 hits in 500 rollouts at alpha 0" in found.refused[-1]


def test_a_plan_is_computed_and_passes() -> None:
    # Judged as a whole, 30 noisy words make the weights worthless; the turn is early.
    first = true_rate(turning(600, (0.0, 1.0, 2.0), None))
    assert not first.valid
    assert first.plan is not None
    assert first.plan.first_k in {1, 2, 3}
    assert first.plan.alpha == 2.0
    plain = turning(first.plan.rollouts // 10, (0.0,), first.plan.first_k)
    alphas = (first.plan.alpha,)
    again = turning(9 * first.plan.rollouts // 10, alphas, first.plan.first_k)
    second = true_rate([*_with(plain, alphas), *again])
    assert second.valid
    assert second.interval is not None
    assert second.interval.lower < 1e-4 < second.interval.upper


def _with(rollouts: list[Rollout], alphas: Sequence[float]) -> list[Rollout]:
    """Plain rollouts in which no one turned: q at the alphas, of the words that are."""
    lift = 100.0 ** np.array(alphas) * 1e-4 + 1 - 1e-4
    return [
        replace(
            one,
            also={
                alpha: one.log_p - np.where(np.arange(31) == 0, np.log(z), 0.0)
                for alpha, z in zip(alphas, lift, strict=True)
            },
        )
        for one in rollouts
        if not one.hit
    ]


def test_a_lower_bound_says_so() -> None:
    rollouts = [
        replace(one, lower_bound=True) for one in turning(600, (0.0, 1.0, 2.0), 1)
    ]
    found = true_rate(rollouts)
    assert found.valid
    assert found.bound == "lower"
    assert "truncation" in found.notes[0]
    assert true_rate(cut(rollouts)).rate == found.rate


def test_plain_cost_is_that_of_the_exact_interval() -> None:
    width = clopper_pearson(20, 10**5)
    needed = plain_needed(2e-4, width.upper - width.lower)
    assert needed == pytest.approx(10**5, rel=1e-4)
    assert plain_needed(1e-4, 0.0) == np.inf
    for rate in (0.0, 1.0):
        width = clopper_pearson(rate * 40, 40)
        assert plain_needed(rate, width.upper - width.lower) == pytest.approx(40)
    assert plain_needed(0.3, 1.0) == 1.0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"method": "guess"}, "did you mean|Allowed"),
        ({"method": "exact"}, "no prompt with a known probability"),
        ({}, "no rollouts"),
    ],
)
def test_what_cannot_be_asked(asked: dict[str, object], said: str) -> None:
    with pytest.raises(LDAError, match=said):
        true_rate(**asked)  # type: ignore[arg-type]
