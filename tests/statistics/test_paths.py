"""Trends along alpha: exact where the model is, and rough where it is not."""

import numpy as np
import pytest

from benchmarks.toy_rollouts import runs
from benchmarks.toys import tuned
from inspect_lda.statistics.drawn import Cut
from inspect_lda.statistics.measured import Extrapolation
from inspect_lda.statistics.paths import BANDS, magnitude
from inspect_lda.statistics.ranking import ranked


def tilted(alphas: tuple[float, ...], each: int, rates: np.ndarray) -> Cut:
    """One token, hit or not, whose log odds rise by 3 an alpha; `rates` by prompt."""
    rng = np.random.default_rng(1)
    shape = (len(rates), len(alphas), each)
    odds = np.log(rates / (1 - rates))[:, None] + 3 * np.array(alphas)
    p = 1 / (1 + np.exp(-odds))
    hit = rng.random(shape) < p[:, :, None]
    prompt, drawn, _ = np.indices(shape)
    log_at = np.where(
        hit[..., None], np.log(p)[:, None, None], np.log1p(-p)[:, None, None]
    )
    log_rates = (np.log(q)[:, None, None] for q in (rates, 1 - rates))
    plain = np.where(hit, *log_rates)
    return Cut(
        prompts=tuple(map(str, range(len(rates)))),
        alphas=alphas,
        prompt=prompt.ravel(),
        drawn=drawn.ravel(),
        hit=hit.ravel(),
        log_p=plain.ravel(),
        log_at=log_at.reshape(-1, len(alphas)),
    )


@pytest.mark.parametrize("method", ["score", "rates"])
def test_a_straight_path_is_followed(method: Extrapolation) -> None:
    run = tilted((0.5, 1.0, 1.5), 20_000, np.array([1e-4]))
    found = magnitude(run, method)
    assert found is not None
    assert found.log10 == pytest.approx(-4, abs=0.25)
    assert found.method == method
    assert found.factor == BANDS[method]


def test_one_alpha_has_a_slope_but_no_trend_of_counts() -> None:
    run = tilted((1.0,), 50_000, np.array([1e-4]))
    assert magnitude(run, "rates") is None
    found = magnitude(run, "score")
    assert found is not None
    assert found.log10 == pytest.approx(-4, abs=0.4)


def test_a_path_to_the_left_is_a_path() -> None:
    # A less safe variant as `before`: alphas from -1 up to 0, where it is rare.
    rates = np.array([1e-4])
    run = tilted((-1.0, -0.7, -0.4), 20_000, rates)
    turned = tilted((-1.0, -0.7, -0.4), 20_000, np.array([0.05]))
    assert magnitude(run, "rates") is None or run.hit.sum() < 10
    found = magnitude(turned, "rates")
    assert found is not None
    assert found.log10 == pytest.approx(np.log10(0.05), abs=0.5)


def test_without_hits_there_is_no_trend() -> None:
    run = tilted((0.5, 1.0), 100, np.array([1e-12]))
    assert magnitude(run) is None
    assert magnitude(run, "rates") is None


def test_plain_rollouts_are_no_path() -> None:
    run = tilted((0.0,), 1000, np.array([0.05]))
    assert run.hit.any()
    assert magnitude(run) is None
    assert magnitude(run, "rates") is None


def test_prompts_are_ranked_where_plain_rollouts_show_nothing() -> None:
    rates = 10.0 ** np.linspace(-5.5, -3, 15)
    run = tilted((0.0, 1.0, 2.0), 200, rates)
    assert run.hit[run.drawn == 0].sum() <= 1
    found = ranked(run)
    order = [int(prompt) for prompt, _ in found]
    assert np.corrcoef(order, np.arange(15)[::-1])[0, 1] > 0.85
    told = np.array([one.log10 for _, one in found])
    assert np.abs(told - np.log10(rates[order])).max() < np.log10(BANDS["rates"])


def test_refused_runs_of_toys_lie_in_the_band() -> None:
    toy = tuned("diffuse", 1e-5, 1.0)
    told = [
        magnitude(run)
        for run in runs(toy, (0.0, 0.5, 1.0, 2.0), 50, 20, np.random.default_rng(3))
    ]
    off = [abs(one.log10 + 5) for one in told if one is not None]
    assert len(off) > 15
    assert np.mean(np.array(off) < np.log10(BANDS["score"])) >= 0.9
