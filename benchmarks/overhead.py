"""What the engine adds to the forwards.

    python -m benchmarks.overhead lone    # one request alone, on a tiny pair

The decoder's own time, inside `forward` and `draw`, is taken off: what is left is the
thread, the queue, admission, bookkeeping of the cache and the way back to the event
loop. A request that finds the engine idle waits GATHER_SECONDS for companions, which
is in it.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console
from rich.table import Table

from inspect_lda.engines.base import Request, Sampling
from inspect_lda.engines.scheduler import GATHER_SECONDS
from inspect_lda.engines.transformers import PairDecoder, TransformersEngine
from inspect_lda.pair import PairSpec
from tests.tiny import EOS, save_checkpoint, tiny_model, tiny_tokenizer

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "CPU": time.process_time}
console = Console()


class Inside:
    """Adds up the time that a decoder spends inside its model and its sampler."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(CLOCKS, 0.0)

    def watch(self, decoder: PairDecoder) -> None:
        """Time every forward and draw of this decoder from now on."""
        for name in ("forward", "draw"):
            setattr(decoder, name, self._timed(getattr(decoder, name)))

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            start = {name: clock() for name, clock in CLOCKS.items()}
            answer = method(*args)
            for name, clock in CLOCKS.items():
                self.seconds[name] += clock() - start[name]
            return answer

        return run


def tiny_pair(folder: Path) -> PairSpec:
    """Two llamas of two layers: their forwards take a few milliseconds."""
    for name, seed in (("after", 1), ("before", 2)):
        save_checkpoint(folder / name, tiny_model(seed=seed), tiny_tokenizer())
    return PairSpec(f"{folder}/after", f"{folder}/before", device="cpu")


async def added(spec: PairSpec, tokens: int, repeat: int) -> dict[str, list[float]]:
    """Seconds outside of the decoder, a request at a time, by clock."""
    engine = TransformersEngine(spec)
    inside = Inside()
    sampling = Sampling(logit_bias={EOS: -100.0})
    # Public means end at the engine: its decoder is made on a thread of its own.
    scheduler = engine._scheduler
    await asyncio.wrap_future(scheduler.call(inside.watch))
    found: dict[str, list[float]] = {name: [] for name in CLOCKS}
    try:
        for seed in range(repeat + 1):
            asked = Request((5 + seed, 9, 33, 12), 1.0, sampling, tokens)
            inside.seconds = dict.fromkeys(CLOCKS, 0.0)
            start = {name: clock() for name, clock in CLOCKS.items()}
            await engine.generate(asked)
            for name, clock in CLOCKS.items():
                taken = clock() - start[name]
                found[name].append(taken - inside.seconds[name])
    finally:
        engine.close()
    # The first one meets cold caches.
    return {name: seconds[1:] for name, seconds in found.items()}


@click.group()
def main() -> None:
    """Milliseconds that the engine adds; smaller is better."""
    torch.set_num_threads(1)


@main.command()
@click.option("--tokens", default=20, show_default=True)
@click.option("--repeat", default=9, show_default=True, type=click.IntRange(min=5))
def lone(tokens: int, repeat: int) -> None:
    """One request alone: what it takes beyond its forwards and draws."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(added(tiny_pair(Path(folder)), tokens, repeat))
    table = Table("clock", "added a request", "range", "a token")
    for name, seconds in found.items():
        middle = 1000 * statistics.median(seconds)
        table.add_row(
            name,
            f"{middle:.1f} ms",
            f"{1000 * min(seconds):.1f} to {1000 * max(seconds):.1f} ms",
            f"{middle / tokens:.2f} ms",
        )
    console.print(table)
    console.print(
        f"{repeat} requests of {tokens} tokens, one after the other; of the wall time "
        f"{1000 * GATHER_SECONDS:.0f} ms are the wait for companions"
    )


if __name__ == "__main__":
    main()
