"""One cell of the simulation: many runs of one toy, judged as a user's run would be."""

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.toy_rollouts import runs
from benchmarks.toys import PROMPTS, Kind, Toy, tuned
from inspect_lda.statistics.drawn import Cut
from inspect_lda.statistics.measured import TrueRate
from inspect_lda.statistics.paths import magnitude
from inspect_lda.statistics.true_rate import true_rate
from inspect_lda.statistics.weighted import weighted_interval
from inspect_lda.statistics.weights import importance, mixture

ALPHAS = (0.0, 0.5, 1.0, 2.0)
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
        always: Whether the weights' interval covered, had it always been printed.
        passed: Whether the weights passed the validity rule.
        valid: Whether there was a rate: by weights, or by plain counting.
        covered: Whether its interval covered the truth, of runs with a rate.
        methods: Estimators that gave the rates.
        decades: How far the order of magnitude of a refused run was off.
    """

    setting: Setting
    pooled: bool
    estimates: list[float] = field(default_factory=list)
    always: list[bool] = field(default_factory=list)
    passed: list[bool] = field(default_factory=list)
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

    @property
    def sound(self) -> bool:
        """Whether an interval that is always printed would cover often enough."""
        return float(np.mean(self.always)) >= 0.88

    def add(self, run: Cut) -> None:
        """Judge one run."""
        truth = self.setting.rate
        tried = true_rate(run, method="mixture" if self.pooled else "importance")
        told = tried.diagnostics
        assert told is not None  # toys are sampled
        weighed = mixture(run) if self.pooled else importance(run, told.alphas[0])
        self.estimates.append(weighed.rate / truth)
        lower, upper = weighted_interval(weighed.contribution)
        # A run without hits has no interval: it does not cover.
        self.always.append(lower <= truth <= upper < math.inf)
        self.passed.append(tried.valid)
        found = tried if tried.valid else true_rate(run)
        self.valid.append(found.valid)
        if found.interval is not None:
            self.methods.append(found.method)
            self.covered.append(found.interval.lower <= truth <= found.interval.upper)
        elif self.pooled:
            self._off(run, found)

    def _off(self, run: Cut, found: TrueRate) -> None:
        for told in (magnitude(run, "score"), magnitude(run, "rates")):
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
