"""One cell of the simulation: many runs of one toy, judged as a user's run would be."""

import math
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.toy_rollouts import runs
from benchmarks.toys import PROMPTS, Kind, Toy, tuned
from inspect_lda.statistics.drawn import Cut
from inspect_lda.statistics.measured import TrueRate
from inspect_lda.statistics.paths import magnitude
from inspect_lda.statistics.true_rate import true_rate
from inspect_lda.statistics.validity import diagnose, refusals
from inspect_lda.statistics.weighted import effective, rate_interval
from inspect_lda.statistics.weights import importance, mixture

ALPHAS = (0.0, 0.5, 1.0, 2.0)
SELDOM = 0.88
"""Weights are invalid for a setting where their interval covers more seldom."""

EACH = 50
"""Rollouts of a prompt at an alpha: 10 prompts x 4 alphas x 50 = 2,000."""


@dataclass(frozen=True)
class Setting:
    """What is simulated.

    Attributes:
        kind: Of behaviour.
        rate: Its true rate.
        noise: Variance of the difference's noise, summed over a reply.
        first_k: Tokens that are amplified, if not all.
    """

    kind: Kind
    rate: float
    noise: float
    first_k: int | None = None

    def toy(self) -> Toy:
        """The toy; the same every time."""
        return tuned(self.kind, self.rate, self.noise, self.seed)

    @property
    def seed(self) -> int:
        """Of the toy and its runs."""
        return zlib.crc32(f"{self.kind} {self.rate} {self.noise}".encode())


@dataclass
class Cell:
    """What came out of one setting with one estimator.

    Attributes:
        setting: The setting.
        pooled: Whether evidence at all alphas was there.
        estimates: Of every run, published or not, over the truth.
        always: By weights (the mixture, or each alpha): whether their interval covered
            the truth, had it always been printed.
        passed: By weights: whether they passed the validity rule.
        valid: Whether there was a rate: by weights, or by plain counting.
        covered: Whether its interval covered the truth, of runs with a rate.
        methods: Estimators that gave the rates.
        decades: How far the order of magnitude of a refused run was off.
    """

    setting: Setting
    pooled: bool
    estimates: list[float] = field(default_factory=list)
    always: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    passed: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    valid: list[bool] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    decades: dict[str, list[float]] = field(default_factory=dict)

    @property
    def bias(self) -> float:
        """Mean estimate over the truth."""
        return float(np.mean(self.estimates))

    @property
    def rmse(self) -> float:
        """Root mean square error over the truth."""
        return float(np.sqrt(np.mean(np.square(np.array(self.estimates) - 1))))

    @property
    def gain(self) -> float:
        """Plain rollouts for the same mean square error, over the rollouts drawn."""
        rate, rollouts = self.setting.rate, PROMPTS * len(ALPHAS) * EACH
        return (1 - rate) / (rate * rollouts) / self.rmse**2

    def invalid(self) -> dict[str, list[bool]]:
        """Whether weights passed whose interval would cover too seldom, by weights."""
        seldom = (k for k, v in self.always.items() if np.mean(v) < SELDOM)
        return {weights: self.passed[weights] for weights in seldom}

    def add(self, run: Cut) -> None:
        """Judge one run."""
        truth = self.setting.rate
        found = true_rate(run)
        if self.pooled:
            tried = {"mixture": mixture(run)}
        else:
            tried = {f"alpha {a:g}": importance(run, a) for a in run.alphas if a}
        for name, weighed in tried.items():
            interval = rate_interval(weighed)
            # A run without hits has no interval: it does not cover.
            covers = interval.lower <= truth <= interval.upper < math.inf
            self.always[name].append(covers)
            self.passed[name].append(not refusals(diagnose(weighed, run), interval))
        best = max(tried.values(), key=lambda one: effective(one.contribution))
        self.estimates.append(best.rate / truth)
        self.valid.append(found.valid)
        if found.interval is not None:
            self.methods.append(found.method)
            self.covered.append(found.interval.lower <= truth <= found.interval.upper)
        elif self.pooled:
            self._off(run, found)

    def _off(self, run: Cut, found: TrueRate) -> None:
        for told in (found.magnitude, magnitude(run, "rates")):
            if told is not None:
                off = told.log10 - math.log10(self.setting.rate)
                self.decades.setdefault(told.method, []).append(off)


def cells(setting: Setting, count: int) -> Iterator[Cell]:
    """Simulate one setting: with evidence at all alphas, and with each one's own."""
    rng = np.random.default_rng(setting.seed)
    both = Cell(setting, pooled=True), Cell(setting, pooled=False)
    for run in runs(setting.toy(), ALPHAS, EACH, count, rng, setting.first_k):
        both[0].add(run)
        both[1].add(alone(run))
    yield from both


def alone(run: Cut) -> Cut:
    """The run without evidence at the other alphas."""
    own = np.arange(len(run.alphas)) == run.drawn[:, None]
    return replace(run, log_at=np.where(own, run.log_at, np.nan))
