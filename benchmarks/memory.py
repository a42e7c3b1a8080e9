"""What a loaded pair weighs, against one model; each in a process of its own."""

import ctypes
import gc
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import psutil
import torch
from rich.table import Table
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.contest import console, start
from benchmarks.ours import rolling
from benchmarks.pairs import ALL_PAIRS, PAIRS
from benchmarks.workloads import prompt, request
from inspect_lda.engines.halves import causal_lm
from inspect_lda.engines.transformers import PairDecoder
from inspect_lda.organisms.base import base_checkpoint

ALONE = "one model"
MIB = 2**20
ROOT = Path(__file__).parents[1]


def unique_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of the memory behind tensors, shared memory counted once."""
    storages = (tensor.untyped_storage() for tensor in tensors)
    return sum({one.data_ptr(): one.nbytes() for one in storages}.values())


def held_by(*modules: Any) -> int:
    """Bytes of all parameters and buffers of modules, shared ones counted once."""
    return unique_bytes(
        tensor
        for module in modules
        for tensor in (*module.parameters(), *module.buffers())
    )


def resident() -> int:
    """Bytes of this process in memory, without what the allocator merely keeps."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
    return int(psutil.Process().memory_info().rss)


def weigh(name: str) -> dict[str, int]:
    """Load, decode a few tokens, and weigh.

    Returns:
        `weights`: bytes behind all parameters and buffers. `resident`: growth of the
        process since before loading, tokenizer and caches included.
    """
    begun = resident()
    if name == ALONE:
        alone: Any = AutoModelForCausalLM.from_pretrained(
            base_checkpoint(), dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(base_checkpoint())
        ids = tokenizer("Good morning", return_tensors="pt").input_ids
        alone.generate(input_ids=ids, max_new_tokens=4)
        return {"weights": held_by(alone), "resident": resident() - begun}
    decoder = PairDecoder(ALL_PAIRS[name]())
    pair = decoder.pair
    rolling(decoder, [request(prompt(0, pair.vocabulary.size), 4)], 1)
    # The decoder may run another form of the pair, made of other modules.
    modules = [decoder.model, causal_lm(pair.after), causal_lm(pair.before)]
    return {"weights": held_by(*modules), "resident": resident() - begun}


@click.command()
@click.option("--pair", "names", multiple=True, type=click.Choice([*ALL_PAIRS]))
@click.option("--weigh", "one", hidden=True, help="Print one as JSON.")
def memory(names: tuple[str, ...], one: str | None) -> None:
    """Memory of the weights, against one model."""
    if one is not None:
        click.echo(json.dumps(weigh(one)))
        return
    alone = _in_a_process(ALONE)
    table = Table("", "weights MiB", "x one model", "resident MiB", "x one model")
    for name in (ALONE, *(names or PAIRS)):
        found = alone if name == ALONE else _in_a_process(name)
        cells = []
        for key, value in found.items():
            cells += [f"{value / MIB:.0f}", f"{value / alone[key]:.2f}"]
        table.add_row(name, *cells)
    console.print(table)


def _in_a_process(name: str) -> dict[str, int]:
    command = [sys.executable, "-m", "benchmarks.memory", "--weigh", name]
    printed = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    found: dict[str, int] = json.loads(printed.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    start()
    memory()
