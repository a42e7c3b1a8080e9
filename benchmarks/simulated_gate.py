"""One eval that may be stopped, with replies drawn at random: see `gate_operating`."""

import heapq
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalConfig, EvalDataset, EvalSpec
from inspect_ai.scorer import SampleScore, Score

from inspect_lda.arms import SWEEP
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


class End(NamedTuple):
    """How a gate ended.

    Attributes:
        verdict: Its verdict.
        decided: Rollouts that decided it, of all alphas.
        begun: Rollouts that were begun: what was out then came back too.
        returned: The verdict of the same test by order of return, at one alpha.
        alone: The verdict if one rollout follows the other, at one alpha.
    """

    verdict: str
    decided: int
    begun: int
    returned: str
    alone: str


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
    alone = _verdict(hits)
    return End(record.verdict, decided, len(order), _by_return(hits, lasts), alone)


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
    return _verdict(hits[np.argsort(ends)])


def _verdict(hits: np.ndarray) -> str:
    """The verdict on rollouts in this order."""
    limit, k = bounds(RateTest(OK, BAD, ERROR), len(hits)), 0
    for n, hit in enumerate(hits, 1):
        k += int(hit)
        found = limit.at(k, n)
        if found:
            return found
    return "undecided"
