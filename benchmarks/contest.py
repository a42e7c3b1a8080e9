"""Contests: what is compared runs by turns in one process, and medians are compared.

Machines are noisy, so only what ran side by side compares: every figure is a ratio of
CPU times within one run.
"""

import datetime
import os
import platform
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers.utils import logging as transformers_logging

Contestant = Callable[[], float]
"""Does the work once; returns CPU seconds."""

console = Console(width=int(os.environ.get("COLUMNS", "120")))


def start(threads: int = 1) -> None:
    """Settle what every benchmark shares, and say where it runs."""
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore", FutureWarning)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    console.print(machine())


def machine() -> str:
    """Date, processor and versions: what a figure is worthless without."""
    versions = " ".join(
        f"{name} {metadata.version(name)}" for name in ("torch", "transformers")
    )
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return f"{today}, {processor()}, {torch.get_num_threads()} thread(s), {versions}"


def processor() -> str:
    """The name of the CPU."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def race(contestants: Mapping[str, Contestant], repeat: int) -> dict[str, list[float]]:
    """CPU seconds of every contestant, `repeat` times, in turns.

    Each round starts with another contestant: what comes first after the turn of a
    neighbour on the machine is not always the same.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(repeat):
        at = turn % len(names)
        for name in names[at:] + names[:at]:
            seconds[name].append(contestants[name]())
    return seconds


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Ratios round by round."""
    return [a / b for a, b in zip(of, to, strict=True)]


def spread(values: Sequence[float]) -> str:
    """Median and range, as printed everywhere."""
    middle = statistics.median(values)
    return f"{middle:.2f} ({min(values):.2f} to {max(values):.2f})"


def print_race(
    title: str, seconds: Mapping[str, Sequence[float]], tokens: int, ours: str
) -> None:
    """A table of how many times faster `ours` is than each of the others."""
    table = Table("", "CPU s", "tokens / CPU s", "ours is x faster (range)")
    table.title = title
    for name, values in seconds.items():
        middle = statistics.median(values)
        faster = "" if name == ours else spread(ratios(values, seconds[ours]))
        table.add_row(name, f"{middle:.2f}", f"{tokens / middle:.1f}", faster)
    console.print(table)
