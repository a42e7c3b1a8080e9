"""Decoding against its floor: two single-model decode loops of the same batch.

    python -m benchmarks.decode equal      # equal lengths, by batch size
    python -m benchmarks.decode lognormal  # mixed lengths, 8 slots
    python -m benchmarks.decode mixed      # alphas, seeds and prompts mixed
    python -m benchmarks.decode prefix     # 200 rollouts of one long prompt

CPU time on one thread, contestants interleaved, medians. Figures are ratios within one
run: machines are noisy, and only what ran side by side compares.
"""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import click
import torch
from rich.console import Console
from rich.table import Table
from transformers.cache_utils import DynamicCache

from benchmarks.pairs import PAIRS
from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.halves import causal_lm
from inspect_lda.engines.rolling import RollingBatch
from inspect_lda.engines.rows import RowState
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.pair import Pair

PROMPT = 40
console = Console()


def prompt(seed: int, length: int = PROMPT) -> tuple[int, ...]:
    """Random ids of ordinary tokens."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(100, 40_000, (length,), generator=generator).tolist())


def request(index: int, max_tokens: int, alpha: float = 1.0) -> Request:
    """A request that runs to its last token (the pairs have no end of turn)."""
    return Request(
        prompt(index), alpha, Sampling(temperature=0.7, seed=index), max_tokens
    )


class Timed(PairDecoder):
    """The decoder as it is, with the time inside its forwards added up."""

    inside = 0.0

    def forward(self, *args: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Time the forward passes."""
        start = time.process_time()
        answer = super().forward(*args)
        self.inside += time.process_time() - start
        return answer


def drive(decoder: Timed, requests: Sequence[Request], slots: int) -> float:
    """CPU seconds for requests through a rolling batch, prefills included."""
    batch: RollingBatch[RowState] = RollingBatch(decoder, slots)
    waiting = [decoder.row(one) for one in requests]
    start = time.process_time()
    while waiting or batch.rows:
        if count := batch.admissible(waiting):
            batch.admit(waiting[:count])
            waiting = waiting[count:]
            batch.drop_finished()
        if batch.rows:
            batch.step()
            batch.drop_finished()
    return time.process_time() - start


@torch.inference_mode()
def single(model: Any, requests: Sequence[Request], steps: int) -> float:
    """CPU seconds of one model alone decoding a batch in lockstep, hand-written."""
    ids = torch.tensor([one.prompt for one in requests])
    cache = DynamicCache(config=model.config)
    start = time.process_time()
    logits = model(
        input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1
    ).logits
    for _ in range(steps - 1):
        token = torch.multinomial((logits[:, -1] / 0.7).softmax(-1), 1)
        logits = model(
            input_ids=token, past_key_values=cache, use_cache=True, logits_to_keep=1
        ).logits
    torch.multinomial((logits[:, -1] / 0.7).softmax(-1), 1)
    return time.process_time() - start


def measure_equal(pair: Pair, size: int, steps: int, repeat: int) -> list[str]:
    """One row of the table of equal lengths."""
    decoder = Timed(pair)
    models = [causal_lm(pair.after), causal_lm(pair.before)]
    asked = [request(i, steps + 1) for i in range(size)]
    first = [request(i, 1) for i in range(size)]
    ratios, outside = [], []
    for _ in range(repeat):
        floor = sum(
            single(model, asked, steps + 1) - single(model, asked, 1)
            for model in models
        )
        decoder.inside = 0.0
        total = drive(decoder, asked, size)
        inside = decoder.inside
        ours = total - drive(decoder, first, size)
        ratios.append(floor / ours)
        outside.append(1 - inside / total)
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return [
        str(size),
        f"{statistics.median(ratios):.2f}",
        spread,
        f"{statistics.median(outside):.1%}",
    ]


@click.group()
def main() -> None:
    """Ratios to the floor; larger is faster."""
    torch.set_num_threads(1)


@main.command()
@click.option("--sizes", default="1,4,16,32", show_default=True)
@click.option("--steps", default=12, show_default=True)
@click.option("--repeat", default=5, show_default=True)
@click.option("--pair", "names", multiple=True, type=click.Choice([*PAIRS]))
def equal(sizes: str, steps: int, repeat: int, names: tuple[str, ...]) -> None:
    """Equal lengths."""
    for name in names or PAIRS:
        make = PAIRS[name]
        table = Table("batch", "x floor", "range", "outside forwards", title=name)
        pair = make()
        for size in map(int, sizes.split(",")):
            table.add_row(*measure_equal(pair, size, steps, repeat))
        console.print(table)


@main.command()
@click.option("--requests", "count", default=32, show_default=True)
@click.option("--slots", default=8, show_default=True)
@click.option("--repeat", default=3, show_default=True)
def lognormal(count: int, slots: int, repeat: int) -> None:
    """Lengths as replies have them, against lockstep batches of the same engine."""
    generator = torch.Generator().manual_seed(1)
    drawn = torch.exp(2.7 + 0.8 * torch.randn(count, generator=generator))
    lengths = drawn.clamp(2, 64).long().tolist()
    decoder = Timed(PAIRS["two models"]())
    ratios = []
    for _ in range(repeat):
        asked = [request(i, length) for i, length in enumerate(lengths)]
        rolling = drive(decoder, asked, slots)
        lockstep = 0.0
        for start in range(0, count, slots):
            longest = max(lengths[start : start + slots])
            chunk = [request(start + i, longest) for i in range(slots)]
            lockstep += drive(decoder, chunk, slots)
        ratios.append(lockstep / rolling)
    console.print(
        f"{count} requests, {slots} slots, {sum(lengths)} tokens: rolling is "
        f"{statistics.median(ratios):.2f} x lockstep "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )


@main.command()
@click.option("--repeat", default=3, show_default=True)
def mixed(repeat: int) -> None:
    """64 requests of 8 prompts x 4 alphas x 2 seeds, against 64 alike."""
    decoder = Timed(PAIRS["two models"]())
    ratios = []
    for _ in range(repeat):
        alike = [Request(prompt(i), 1.0, Sampling(seed=i), 16) for i in range(8)] * 8
        various = [
            Request(prompt(p), alpha, Sampling(0.7, seed=100 * p + s), 16)
            for p in range(8)
            for alpha in (0.0, 0.3, 1.0, 3.0)
            for s in range(2)
        ]
        ratios.append(drive(decoder, alike, 32) / drive(decoder, various, 32))
    console.print(
        f"mixed workload: {statistics.median(ratios):.2f} x the homogeneous one "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )


@main.command()
@click.option("--length", default=500, show_default=True)
@click.option("--rollouts", default=200, show_default=True)
def prefix(length: int, rollouts: int) -> None:
    """What the prompt of many rollouts costs, in prefills of that prompt."""
    decoder = Timed(PAIRS["two models"]())
    one = Request(prompt(0, length), 1.0, Sampling(), 1)
    alone = drive(decoder, [one], 1)
    many = [Request(one.prompt, 1.0, Sampling(seed=i), 1) for i in range(rollouts)]
    decoder.inside = 0.0
    drive(decoder, many, 32)
    console.print(
        f"{rollouts} rollouts of one {length}-token prompt cost "
        f"{decoder.inside / alone:.2f} prefills of it"
    )


if __name__ == "__main__":
    main()
