"""The bisection on real rollouts, with rollouts whose coherence is known."""

import random
from collections.abc import Callable, Sequence

import pytest

from inspect_lda.calibration.asked import Ask, Rollout
from inspect_lda.calibration.coherent import Search, tidy
from inspect_lda.calibration.records import Settings
from inspect_lda.evidence import Evidence
from inspect_lda.statistics.coherence import ABSOLUTE, Reading

Rate = Callable[[float], float]
CLEAR, BROKEN = (Reading(surprise, 0.0, 0.0, 9) for surprise in (1.0, 99.0))


def search(rate: Rate, seed: int = 0, target: float = 0.72) -> Search:
    """A search over rollouts that are coherent at a known rate."""
    draw = random.Random(seed)
    settings = Settings()

    async def sample(alpha: float, look: int) -> Sequence[Rollout]:
        return [
            made(CLEAR if draw.random() < rate(alpha) else BROKEN)
            for _ in range(settings.batch)
        ]

    return Search(sample, ABSOLUTE, target, settings)


def made(reading: Reading) -> Rollout:
    evidence = Evidence(
        alpha=1.0,
        seed=0,
        temperature=1.0,
        precision="float32",
        n_tokens=2,
        log_p_after=-3.0,
        log_p_before=-3.0,
        log_q=-2.0,
        log_p_plain=-3.0,
        entropy_after=1.0,
        kl_mean=0.0,
        kl_max=0.0,
        implausible=0.0,
    )
    return Rollout(Ask("p", "p", (1,)), (5, 6), "stop", evidence, reading)


async def test_a_clear_yes_and_a_clear_no_take_one_batch() -> None:
    yes = await search(lambda _: 1.0).trial(2.0)
    assert (yes.kept, yes.rollouts, yes.coherent) == (True, 32, 32)
    assert yes.lower == pytest.approx((0.05 / 4) ** (1 / 32))
    assert (yes.kl, yes.surprise) == (0.5, 1.5)
    no = await search(lambda _: 0.2).trial(2.0)
    assert (no.kept, no.rollouts) == (False, 32)


async def test_a_close_case_takes_more_and_no_more_than_all() -> None:
    sizes = [
        (await search(lambda _: 0.76, seed).trial(1.0)).rollouts for seed in range(20)
    ]
    assert max(sizes) == 128
    assert sum(sizes) / len(sizes) > 64


async def test_a_share_just_below_the_target_is_rarely_kept() -> None:
    kept = [
        (await search(lambda _: 0.719, seed).trial(1.0)).kept for seed in range(400)
    ]
    # 5% over all looks together, and three standard errors of 400 trials.
    assert sum(kept) / 400 < 0.05 + 0.033


async def test_the_cap_is_taken_if_it_is_coherent() -> None:
    alpha, trials = await search(lambda _: 0.95)(6.0)
    assert alpha == 6.0
    assert len(trials) == 1


async def test_the_edge_is_found_within_a_level() -> None:
    alpha, trials = await search(lambda a: 0.95 if a <= 2.0 else 0.1)(8.0)
    assert alpha is not None
    assert 2.0 / 8 ** (1 / 16) * 0.99 <= alpha <= 2.0
    assert len(trials) == 5
    assert alpha == max(one.alpha for one in trials if one.kept)


async def test_only_the_smallest_alpha_may_be_left_and_none() -> None:
    alpha, _ = await search(lambda a: 0.95 if a <= 1.0 else 0.1)(8.0)
    assert alpha == 1.0
    alpha, trials = await search(lambda _: 0.1)(8.0)
    assert alpha is None
    assert trials[-1].alpha == 1.0


@pytest.mark.parametrize(
    ("alpha", "shown"),
    [(3.317, 3.31), (0.012399, 0.0123), (19.18, 19.1), (100.0, 100.0)],
)
def test_alphas_have_three_digits_and_are_not_rounded_up(
    alpha: float, shown: float
) -> None:
    assert tidy(alpha) == shown
