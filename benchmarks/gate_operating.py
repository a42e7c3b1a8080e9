"""How often the sequential gate is wrong, and when it stops: simulated evals.

    python -m benchmarks.gate_operating      # the table in docs/sequential.md

Every gate is the early stopping of our tasks itself, asked and told as Inspect asks and
tells it: 64 rollouts are out at any time, take lognormal times (sigma 0.8; a hit twice
as long, or ten times) and come back in batches; whether to stop is looked at before
every rollout. Only the replies are drawn at random instead of by a model. Beside it the
same test by order of return. Exits with 1 if a bar is missed.
"""

import asyncio
import heapq
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import click
import numpy as np
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalConfig, EvalDataset, EvalSpec
from inspect_ai.scorer import SampleScore, Score

from benchmarks.contest import console
from inspect_lda.arms import SWEEP
from inspect_lda.statistics.intervals import clopper_pearson
from inspect_lda.statistics.operating import operating
from inspect_lda.statistics.sequential import RateTest, bounds
from inspect_lda.stopped import Settings, Stopped
from inspect_lda.tasks._stopping import SequentialStop, in_random_order

OK, BAD, ERROR = 0.002, 0.01, 0.05
PROMPTS, EPOCHS = 242, 12
OUT, BATCH = 64, 0.25
"""Rollouts out at once, and every when a batch comes back, in median replies."""
SPEC = EvalSpec(
    created="2026-01-01T00:00:00+00:00",
    task="simulated",
    dataset=EvalDataset(),
    model="simulated",
    config=EvalConfig(),
)
SCORES = {
    hit: {"phrase": SampleScore(score=Score(value=float(hit)))} for hit in (True, False)
}


class Truth(NamedTuple):
    """A model.

    Attributes:
        name: In the table.
        rate: Mean probability of a hit.
        share: Share of the prompts that can hit at all.
        alphas: How many alphas are tested together, all alike.
        slow: How many times as long a hit takes.
        bar: What is promised.
    """

    name: str
    rate: float
    share: float = 1.0
    alphas: int = 1
    slow: float = 2.0
    bar: str = ""


TRUTHS = (
    Truth("clean", 0.0, bar="PASS >= 99 %, <= 400 rollouts"),
    Truth("fine", OK, bar="FAIL <= 5 %"),
    Truth("fine, in 2 % of the prompts", OK, share=0.02, bar="FAIL <= 5 %"),
    Truth("fine, at three alphas", OK, alphas=3, bar="FAIL <= 5 %"),
    Truth("between", 0.005),
    Truth("bad", BAD, bar="PASS <= 5 %"),
    Truth("bad, in 2 % of the prompts", BAD, share=0.02, bar="PASS <= 5 %"),
    Truth("bad, hits 10 times as slow", BAD, slow=10.0, bar="PASS <= 5 %"),
    Truth("planted", 0.033, bar="FAIL, <= 120 rollouts"),
)


class End(NamedTuple):
    """How a gate ended.

    Attributes:
        verdict: Its verdict.
        decided: Rollouts that decided it, of all alphas.
        begun: Rollouts that were begun: what was out then came back too.
        returned: The verdict of the same test by order of return, at one alpha.
    """

    verdict: str
    decided: int
    begun: int
    returned: str


@dataclass
class Gates:
    """All gates of one truth."""

    truth: Truth
    ends: list[End]

    def share(self, verdict: str) -> float:
        """Share of gates with a verdict."""
        return sum(end.verdict == verdict for end in self.ends) / len(self.ends)

    def mean(self, field: str) -> float:
        """Mean of a count."""
        return float(np.mean([getattr(end, field) for end in self.ends]))

    def kept(self) -> bool:
        """Whether the bar is met."""
        bar = self.truth.bar
        if self.truth.name == "clean":
            most = max(end.begun for end in self.ends)
            return self.share("pass") >= 0.99 and most <= 400
        if self.truth.name == "planted":
            return self.share("fail") >= 0.95 and self.mean("decided") <= 120
        wrong = bar.split()[0].lower() if bar else ""
        return not bar or self.share(wrong) <= ERROR

    def row(self) -> str:
        """A line of the table."""
        n = len(self.ends)
        cells = [f"{self.truth.name} ({100 * self.truth.rate:g} %)"]
        for verdict in ("pass", "fail", "undecided"):
            k = sum(end.verdict == verdict for end in self.ends)
            low, high = clopper_pearson(k, n)
            span = f"({100 * low:.1f} to {100 * high:.1f})"
            cells.append(f"{100 * k / n:.1f} % {span}")
        cells += [f"{self.mean('decided'):.0f}", f"{self.mean('begun'):.0f}"]
        cells.append(self._exact())
        naive = sum(end.returned == "pass" for end in self.ends) / n
        cells.append(f"{100 * naive:.1f} %" if self.truth.alphas == 1 else "")
        met = "" if not self.truth.bar else ("yes" if self.kept() else "**no**")
        return f"| {' | '.join([*cells, self.truth.bar, met])} |"

    def _exact(self) -> str:
        if self.truth.alphas > 1 or self.truth.share < 1 or self.truth.slow > 2:
            return ""
        known = operating(RateTest(OK, BAD, ERROR), self.truth.rate, PROMPTS * EPOCHS)
        return f"{100 * known.passes:.1f} %, {known.rollouts:.0f}"


async def gate(truth: Truth, seed: int) -> End:
    """One eval."""
    rng = np.random.default_rng([seed, round(1e6 * truth.rate), truth.alphas])
    hitting = np.arange(PROMPTS) < round(truth.share * PROMPTS)
    each = truth.rate * PROMPTS / hitting.sum() * hitting
    prompts = in_random_order(range(PROMPTS), seed)
    samples = [
        Sample(id=f"{p}|{a}", input="", metadata={"alpha": float(a), "arm": SWEEP})
        for p in prompts
        for a in range(truth.alphas)
    ]
    chance = np.tile(np.repeat(each[prompts], truth.alphas), EPOCHS)
    hits = rng.random(len(chance)) < chance
    lasts = rng.lognormal(sigma=0.8, size=len(chance)) * np.where(hits, truth.slow, 1.0)
    stopping = SequentialStop(Settings(r_ok=OK, r_bad=BAD), "phrase", patience=math.inf)
    await stopping.start_task(SPEC, samples, EPOCHS)
    order = await _run(stopping, samples, hits, lasts)
    record = Stopped.model_validate(await stopping.complete_task())
    decided = sum(cell.decided_at or cell.n for cell in record.cells)
    return End(record.verdict, decided, len(order), _by_return(hits, lasts))


async def _run(
    stopping: SequentialStop,
    samples: Sequence[Sample],
    hits: np.ndarray,
    lasts: np.ndarray,
) -> list[int]:
    """Ask and tell as Inspect does; the rollouts in the order of their return."""
    out: list[tuple[float, int]] = []
    order: list[int] = []
    now = 0.0

    async def back() -> float:
        moment, place = heapq.heappop(out)
        key = str(samples[place % len(samples)].id), place // len(samples) + 1
        await stopping.complete_sample(*key, SCORES[bool(hits[place])])
        order.append(place)
        return moment

    for place in range(len(hits)):
        if stopping.verdict is not None:
            break  # all others are skipped
        while len(out) == OUT:
            now = await back()
            while out and out[0][0] <= now:
                await back()
        key = str(samples[place % len(samples)].id), place // len(samples) + 1
        while stopping.waits(*key):
            now = await back()
        if await stopping.schedule_sample(*key) is None:
            ends = np.ceil((now + lasts[place]) / BATCH) * BATCH
            heapq.heappush(out, (float(ends), place))
    while out:
        await back()
    return order


def _by_return(hits: np.ndarray, lasts: np.ndarray) -> str:
    """The verdict of a test that takes rollouts as they come back."""
    free, ends = [0.0] * OUT, np.empty(len(hits))
    for place, last in enumerate(lasts):
        ends[place] = heapq.heappop(free) + last
        heapq.heappush(free, ends[place])
    limit, k = bounds(RateTest(OK, BAD, ERROR), len(hits)), 0
    for n, place in enumerate(np.argsort(ends), 1):
        k += int(hits[place])
        found = limit.at(k, n)
        if found:
            return found
    return "undecided"


async def simulate(truth: Truth, gates: int) -> Gates:
    """All gates of one truth."""
    return Gates(truth, [await gate(truth, seed) for seed in range(gates)])


@click.command(help=__doc__)
@click.option("--gates", type=int, default=2000, show_default=True)
@click.pass_context
def main(context: click.Context, gates: int) -> None:
    """See the module."""
    lines = [
        "| truth | PASS | FAIL | undecided | decided at | begun | exact PASS, rollouts "
        "| PASS by order of return | bar | met |",
        "|" + "---|" * 10,
    ]
    every = []
    for truth in TRUTHS:
        start = time.perf_counter()
        every.append(asyncio.run(simulate(truth, gates)))
        console.print(f"{truth.name}: {time.perf_counter() - start:.0f} s")
    lines += [one.row() for one in every]
    console.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)
    if not all(one.kept() for one in every):
        context.exit(1)


if __name__ == "__main__":
    main()
