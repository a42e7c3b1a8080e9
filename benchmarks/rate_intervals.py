"""Which interval covers? Five of them on the same weighted hits of toy models.

    python -m benchmarks.rate_intervals    # a table in docs/rates.md, 5 minutes

Coverage of runs whose weights pass the validity rule, and of those that only its first
half (effective hits) lets pass: mean over cells (behaviour, rate, noise, evidence) with
at least 30 such runs, and the worst.
"""

from collections import defaultdict
from collections.abc import Callable

import click
import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import chi2

from benchmarks.rate_cells import ALPHAS, EACH, Setting, alone
from benchmarks.rates import NOISES, RATES, settings
from benchmarks.toy_rollouts import runs
from benchmarks.toys import Floats
from inspect_lda.statistics.drawn import Cut
from inspect_lda.statistics.intervals import Interval
from inspect_lda.statistics.true_rate import true_rate
from inspect_lda.statistics.validity import LEAST_HITS
from inspect_lda.statistics.weighted import rate_interval, weighted_interval
from inspect_lda.statistics.weights import importance, mixture

LEVEL = 0.95
Z = float(ndtri((1 + LEVEL) / 2))
RESAMPLES = 199
LEAST = 30


def error(values: Floats) -> float:
    """Standard error of the sum over the sum."""
    total = float(values.sum())
    variance = float(np.square(values).sum()) - total**2 / len(values)
    return float(np.sqrt(max(variance, 0.0))) / total


def normal(values: Floats) -> Interval:
    """Mean and standard error."""
    mean, reach = float(values.mean()), Z * error(values)
    return Interval(mean * (1 - reach), mean * (1 + reach))


def lognormal(values: Floats) -> Interval:
    """The same for the logarithm (delta method)."""
    mean, reach = float(values.mean()), Z * error(values)
    return Interval(mean * np.exp(-reach), mean * np.exp(reach))


def bootstrap_t(values: Floats) -> Interval:
    """Studentised bootstrap of the logarithm (Efron and Tibshirani 1993, ch. 12)."""
    rng = np.random.default_rng(0)
    n, hits = len(values), values[values > 0]
    counts = np.maximum(rng.binomial(n, len(hits) / n, RESAMPLES), 1)
    drawn = rng.choice(hits, (RESAMPLES, int(counts.max())))
    drawn *= np.arange(drawn.shape[1]) < counts[:, None]
    total = drawn.sum(1)
    errors = np.sqrt(np.square(drawn).sum(1) - total**2 / n) / total
    scores = (np.log(total) - np.log(hits.sum())) / np.maximum(errors, 1e-9)
    low, high = np.quantile(scores, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    mean, own = float(values.mean()), error(values)
    return Interval(mean * np.exp(-high * own), mean * np.exp(-low * own))


def likelihood(values: Floats) -> Interval:
    """Empirical likelihood (Owen 1988, Biometrika 75:237)."""
    critical = float(chi2.ppf(LEVEL, 1))
    mean, top = float(values.mean()), float(values.max())

    def excess(log_mean: float) -> float:
        gaps = values - np.exp(log_mean)
        low, high = (-1 / gaps.max(), -1 / gaps.min())

        def slope(tilt: float) -> float:
            return float((gaps / (1 + tilt * gaps)).sum())

        edge = 1e-9 * (high - low)
        tilt = brentq(slope, low + edge, high - edge)
        return 2 * float(np.log1p(tilt * gaps).sum()) - critical

    centre, step = np.log(mean), 0.1
    low = centre - step
    while excess(low) < 0:
        low -= step
    high = centre + step
    while high < np.log(top) and excess(high) < 0:
        high += step
    high = min(high, np.log(top * (1 - 1e-6)))
    return Interval(
        float(np.exp(brentq(excess, low, centre))),
        float(np.exp(brentq(excess, centre, high))),
    )


METHODS: dict[str, Callable[[Floats], Interval]] = {
    "normal": normal,
    "log-normal": lognormal,
    "bootstrap-t": bootstrap_t,
    "empirical likelihood": likelihood,
    "gamma": weighted_interval,
}


Covered = dict[tuple[str, str], dict[str, list[bool]]]
"""By interval and by what let the run pass, and by cell."""


def add(covered: Covered, setting: Setting, run: Cut) -> None:
    """Judge one run by every interval."""
    found = true_rate(run)
    told = found.diagnostics
    if told is None or told.method == "plain" or told.hit_ess < LEAST_HITS:
        return
    weighed = mixture(run) if run.pooled else importance(run, *told.alphas)
    cell = f"{setting} {'all alphas' if run.pooled else 'one alpha'}"
    tried = {name: one(weighed.contribution) for name, one in METHODS.items()}
    tried["gamma, prompts without a hit"] = rate_interval(weighed)
    for method, (low, high) in tried.items():
        hit = low <= setting.rate <= high
        covered[method, "effective hits"][cell].append(hit)
        if found.valid:
            covered[method, "the rule"][cell].append(hit)


@click.command()
@click.option("--replicates", default=60, show_default=True, help="Runs of a cell.")
def main(replicates: int) -> None:
    """Compare the intervals."""
    covered: Covered = defaultdict(lambda: defaultdict(list))
    for setting in settings(RATES[:4], NOISES):
        rng = np.random.default_rng(setting.seed)
        toy, first_k = setting.toy(), setting.first_k
        for run in runs(toy, ALPHAS, EACH, replicates, rng, first_k):
            add(covered, setting, run)
            add(covered, setting, alone(run))
    click.echo("| interval | passed by | mean | worst | cells |")
    click.echo("|---|---|---|---|---|")
    for (method, passed), named in sorted(covered.items(), key=lambda one: one[0][1]):
        shares = [float(np.mean(one)) for one in named.values() if len(one) >= LEAST]
        if shares:
            click.echo(
                f"| {method} | {passed} | {np.mean(shares):.3f} | {min(shares):.3f} | "
                f"{len(shares)} |"
            )


if __name__ == "__main__":
    main()
