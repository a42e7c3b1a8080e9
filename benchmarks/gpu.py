"""Tokens a second on one device, as a share of what its memory allows.

    python -m benchmarks.gpu                 # a CUDA machine, two models of 1.2B
    python -m benchmarks.gpu --config tiny   # anywhere: shows that it runs
    python -m benchmarks.gpu --engine-option attn_implementation=sdpa

A step must at least read the weights of both models and the cache of every row once.
The share is the time this takes at the device's memory bandwidth, of the time a step
took. The bandwidth is that of a large copy, measured here, unless given.
"""

import asyncio
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import torch
import yaml

from benchmarks.bandwidth import device_name, measured_bandwidth, step_bytes
from benchmarks.contest import start
from benchmarks.random_pairs import SHAPES, save_random_pair
from benchmarks.workloads import prompt, request
from inspect_lda.engines.transformers import TransformersEngine
from inspect_lda.pair import Pair, PairSpec

GIGA = 1e9


@dataclasses.dataclass(frozen=True)
class Load:
    """How much is decoded.

    Attributes:
        prompt: Tokens of the one prompt that all rows share.
        tokens: Tokens of a row.
        repeat: How often each batch size is timed.
    """

    prompt: int
    tokens: int
    repeat: int


def engine_of(spec: PairSpec, rows: int, options: dict[str, Any]) -> TransformersEngine:
    """An engine for `rows` rows.

    Args:
        spec: The pair.
        rows: Most rows together.
        options: Further options by name: those of a `PairSpec`, the rest the engine's.

    Raises:
        click.UsageError: If neither has such an option.
    """
    known = {field.name for field in dataclasses.fields(PairSpec)}
    of_pair = {key: value for key, value in options.items() if key in known}
    rest = {key: value for key, value in options.items() if key not in known}
    try:
        return TransformersEngine(
            dataclasses.replace(spec, **of_pair), max_batch=rows, **rest
        )
    except TypeError as error:
        raise click.UsageError(
            f"--engine-option takes {', '.join(sorted(known))} and what the engine's "
            f"constructor takes: {error}"
        ) from error


async def step_seconds(engine: TransformersEngine, rows: int, load: Load) -> float:
    """Wall-clock seconds of a decode step, median of several runs.

    Runs of one token are subtracted, so that prompts and start-up do not count.

    Raises:
        click.ClickException: If the runs are too short for that.
    """
    pair = await engine.pair()
    ids = prompt(0, pair.vocabulary.size, load.prompt)

    async def run(tokens: int) -> float:
        begun = time.perf_counter()
        await asyncio.gather(
            *(engine.generate(request(ids, tokens, seed=i)) for i in range(rows))
        )
        return time.perf_counter() - begun

    await run(load.tokens + 1)  # weights, prefix, kernels
    found = [
        (await run(load.tokens + 1) - await run(1)) / load.tokens
        for _ in range(load.repeat)
    ]
    seconds = statistics.median(found)
    if seconds <= 0:
        raise click.ClickException(
            f"--tokens {load.tokens}: too few to time {rows} rows on this machine"
        )
    return seconds


async def line(
    spec: PairSpec, rows: int, load: Load, bandwidth: float, options: dict[str, Any]
) -> str:
    """One row of the Markdown table."""
    engine = engine_of(spec, rows, options)
    try:
        seconds = await step_seconds(engine, rows, load)
        pair: Pair = await engine.pair()
    finally:
        engine.close()
    moved = step_bytes(pair, rows, load.prompt + load.tokens // 2)
    share = moved / bandwidth / seconds
    return (
        f"| {rows} | {rows / seconds:,.0f} | {1000 * seconds:.2f} | "
        f"{moved / GIGA:.2f} | {share:.0%} |"
    )


def parse_options(written: tuple[str, ...]) -> dict[str, Any]:
    """`key=value` pairs, values read as YAML.

    Raises:
        click.UsageError: If one is not of that form.
    """
    options = {}
    for one in written:
        key, sign, value = one.partition("=")
        if not (key and sign):
            raise click.UsageError(
                f"--engine-option {one}: write key=value, e.g. attn_implementation=sdpa"
            )
        options[key] = yaml.safe_load(value)
    return options


@click.command()
@click.option("--config", default="1b", show_default=True, type=click.Choice([*SHAPES]))
@click.option("--batches", default="1,16,64,256", show_default=True)
@click.option("--prompt", "length", default=128, show_default=True, help="Tokens.")
@click.option("--tokens", default=64, show_default=True, help="Of each row.")
@click.option("--repeat", default=5, show_default=True)
@click.option("--device", help="cuda or cpu; by default cuda if there is one.")
@click.option("--dtype", help="By default float16 on a GPU and float32 on the CPU.")
@click.option("--bandwidth", type=float, help="GB/s of the device; else measured.")
@click.option("--threads", default=1, show_default=True, help="Of the CPU.")
@click.option("--engine-option", "options", multiple=True, help="key=value.")
def gpu(
    config: str,
    batches: str,
    length: int,
    tokens: int,
    repeat: int,
    device: str | None,
    dtype: str | None,
    bandwidth: float | None,
    threads: int,
    options: tuple[str, ...],
) -> None:
    """Tokens a second of a random pair, and the share of the memory bandwidth."""
    start(threads)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or ("float32" if device == "cpu" else "float16")
    extra, load = parse_options(options), Load(length, tokens, repeat)
    speed = bandwidth * GIGA if bandwidth else measured_bandwidth(device)
    click.echo(
        f"{device_name(device)}, two random {config} models, {dtype}, prompt "
        f"{length}, {tokens} tokens a row, {speed / GIGA:,.0f} GB/s "
        f"{'given' if bandwidth else 'measured'}, options {extra or 'none'}\n\n"
        "| batch | tokens/s | ms a step | GB a step | share of the bandwidth |\n"
        "|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as directory:
        # No larger window than needed: some engines reserve memory for all of it.
        window = length + tokens + 1
        after, before = save_random_pair(
            Path(directory), config, context=window, dtype=dtype, device=device
        )
        spec = PairSpec(str(after), str(before), dtype=dtype, device=device)
        for rows in map(int, batches.split(",")):
            click.echo(asyncio.run(line(spec, rows, load, speed, extra)))


if __name__ == "__main__":
    gpu()
