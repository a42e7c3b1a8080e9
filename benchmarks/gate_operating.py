"""How often the sequential gate is wrong, and when it stops: simulated evals.

    python -m benchmarks.gate_operating      # the table in docs/sequential.md

Every gate is the early stopping of our tasks itself, asked and told as Inspect asks and
tells it: 64 rollouts are out at any time, take lognormal times (sigma 0.8; a hit twice
as long, or ten times) and come back in batches; whether to stop is looked at before
every rollout. Only the replies are drawn at random instead of by a model. Beside it the
same test by order of return. Exits with 1 if a bar is missed.

What one rollout after the other would give is known exactly (`statistics.operating`).
Where it is, the same draws are also taken so, and "corrected" is that exact share plus
the difference that concurrency made on them: a control variate, which takes the luck of
the draws out. A share of 4.9 % is 0.5 % off by luck alone in 2,000 gates.
"""

import asyncio
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial

import click
import numpy as np

from benchmarks.contest import console
from benchmarks.simulated_gate import BAD, EPOCHS, ERROR, OK, PROMPTS, End, Truth, gate
from inspect_lda.statistics.intervals import clopper_pearson
from inspect_lda.statistics.operating import Operating, operating
from inspect_lda.statistics.sequential import RateTest

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
        return not bar or self.corrected(wrong) <= ERROR

    @cached_property
    def known(self) -> Operating | None:
        """What one rollout after the other gives; None if it is not known exactly."""
        if self.truth.alphas > 1 or self.truth.share < 1:
            return None
        return operating(RateTest(OK, BAD, ERROR), self.truth.rate, PROMPTS * EPOCHS)

    def corrected(self, verdict: str) -> float:
        """Share of gates with a verdict, without the luck of the draws if possible."""
        if self.known is None:
            return self.share(verdict)
        exact = {"pass": self.known.passes, "fail": self.known.fails}[verdict]
        lucky = sum(end.alone == verdict for end in self.ends) / len(self.ends)
        return exact + self.share(verdict) - lucky

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
        cells += self._without_luck()
        naive = sum(end.returned == "pass" for end in self.ends) / n
        cells.append(f"{100 * naive:.1f} %" if self.truth.alphas == 1 else "")
        met = "" if not self.truth.bar else ("yes" if self.kept() else "**no**")
        return f"| {' | '.join([*cells, self.truth.bar, met])} |"

    def _without_luck(self) -> list[str]:
        if self.known is None:
            return ["", ""]
        shares = [100 * self.corrected(one) for one in ("pass", "fail")]
        return ["{:.2f} %, {:.2f} %".format(*shares), f"{self.known.rollouts:.0f}"]


def ends(truth: Truth, seeds: range) -> list[End]:
    """Some gates of one truth."""

    async def every() -> list[End]:
        return [await gate(truth, seed) for seed in seeds]

    return asyncio.run(every())


def simulate(truth: Truth, gates: int) -> Gates:
    """All gates of one truth, on all CPU cores."""
    step = 50
    parts = [range(at, min(at + step, gates)) for at in range(0, gates, step)]
    with ProcessPoolExecutor() as pool:
        found = pool.map(partial(ends, truth), parts)
        return Gates(truth, [end for part in found for end in part])


@click.command(help=__doc__)
@click.option("--gates", type=int, default=2000, show_default=True)
@click.pass_context
def main(context: click.Context, gates: int) -> None:
    """See the module."""
    lines = [
        "| truth | PASS | FAIL | undecided | decided at | begun | corrected PASS, FAIL "
        "| alone | PASS by order of return | bar | met |",
        "|" + "---|" * 11,
    ]
    every = []
    for truth in TRUTHS:
        start = time.perf_counter()
        every.append(simulate(truth, gates))
        console.print(f"{truth.name}: {time.perf_counter() - start:.0f} s")
    lines += [one.row() for one in every]
    console.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)
    if not all(one.kept() for one in every):
        context.exit(1)


if __name__ == "__main__":
    main()
