"""Continuous batching of many rollouts: in closed form, and simulated step by step.

Both take the time of a step from the same roofline. What the closed form assumes, a
full batch of rows at random points of their replies, is what the simulation finds out:
rows join and leave, prompts are prefilled in chunks within a step's budget, blocks of
the cache are shared, filled and freed, and rows are put off when it is full.
"""

import dataclasses
import heapq
import math
from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from benchmarks.roofline import Deployment

BLOCK = 16
"""Tokens of a block of vLLM's cache; prompts are shared in whole blocks."""


@dataclasses.dataclass(frozen=True)
class Job:
    """Rollouts to make.

    Attributes:
        prompt: Tokens of a prompt.
        group: Rollouts of each prompt, one after the other.
        replies: Tokens of every reply.
        connections: Rollouts that are asked for at once.
    """

    prompt: int
    group: int
    replies: Sequence[int]
    connections: int

    @property
    def shared(self) -> int:
        """Tokens of a prompt that are found in the cache."""
        return (self.prompt - 1) // BLOCK * BLOCK

    @property
    def own(self) -> int:
        """Tokens of a prompt that every rollout computes for itself."""
        return self.prompt - self.shared


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a job took."""

    seconds: float
    steps: float
    rows: float
    put_off: int = 0


def closed_form(deployment: Deployment, job: Job) -> Outcome:
    """The job as one step of a full batch, repeated."""
    lengths = np.asarray(job.replies, dtype=float)
    mean = lengths.mean()
    # Long replies are met more often than they are asked for.
    age = (lengths**2).mean() / mean / 2
    # The last block of a row is half empty in the mean.
    fit = (deployment.capacity(job.connections) - job.shared) / (
        job.own + age + BLOCK / 2
    )
    rows = min(job.connections, len(lengths), fit)
    prompt = rows / mean * (job.own + job.shared / job.group)
    seconds = deployment.seconds(rows, rows * (job.prompt + age), prompt)
    steps = lengths.sum() / rows
    return Outcome(steps * seconds, steps, rows)


@dataclasses.dataclass
class _Row:
    number: int
    drawn: int = 0
    started: int = 0
    held: int = 0
    phase: int = 0


class Simulation:
    """One engine, from the first rollout to the last.

    Args:
        deployment: What it runs on.
        job: What it is asked.
        blocks: Of the cache; by default as many as there is memory for.
    """

    def __init__(
        self, deployment: Deployment, job: Job, blocks: int | None = None
    ) -> None:
        self._deployment, self._job = deployment, job
        fit = deployment.capacity(job.connections) // BLOCK
        self._free = fit if blocks is None else blocks
        self._waiting = deque(_Row(i) for i in range(len(job.replies)))
        self._running: dict[int, _Row] = {}
        self._ends: list[tuple[int, int, int]] = []
        self._growing: list[dict[int, None]] = [{} for _ in range(BLOCK)]
        self._prompts: Counter[int] = Counter()
        self._rest = 0
        self._step = self._context = self._put_off = 0

    def run(self) -> Outcome:
        """Make all rollouts.

        Raises:
            ValueError: If the cache does not hold a single one.
        """
        seconds, drawn = 0.0, 0
        while self._waiting or self._running:
            self._grow()
            prompt = self._admit()
            if not self._running and not prompt:
                raise ValueError("the cache does not hold a single rollout")
            rows = len(self._running)
            seconds += self._deployment.seconds(rows, self._context, prompt)
            self._step += 1
            self._context += rows
            drawn += rows
            self._leave()
        steps = self._step
        return Outcome(seconds, steps, drawn / steps, self._put_off)

    def _admit(self) -> int:
        """Let rows join, first come first served; returns their tokens to prefill."""
        job, used = self._job, 0
        budget = self._deployment.budget - len(self._running)
        while self._waiting and len(self._running) < job.connections:
            row = self._waiting[0]
            group = row.number // job.group
            shared = 0 if self._prompts[group] else job.shared
            # A row that was put off computes what it had drawn once more.
            length = job.prompt + row.drawn
            held = math.ceil((length - job.shared) / BLOCK)
            if held + shared // BLOCK > self._free:
                break
            rest = self._rest or length - job.shared + shared
            fed = min(rest, budget)
            used, budget = used + fed, budget - fed
            self._rest = rest - fed
            if self._rest:
                break
            self._join(self._waiting.popleft(), held, shared // BLOCK, length)
        return used

    def _join(self, row: _Row, held: int, shared: int, length: int) -> None:
        self._free -= held + shared
        row.held, row.started = held, self._step
        self._prompts[row.number // self._job.group] += 1
        self._running[row.number] = row
        self._context += length
        end = self._step + self._job.replies[row.number] - row.drawn
        heapq.heappush(self._ends, (end, row.number, self._step))
        # Counted by the block, the step in which its last one is full.
        room = BLOCK * held + self._job.shared - length
        row.phase = (self._step + room + 1) % BLOCK
        self._growing[row.phase][row.number] = None

    def _grow(self) -> None:
        """Give a block to every row that has filled its last, or put off the newest."""
        for number in list(self._growing[self._step % BLOCK]):
            while not self._free and number in self._running:
                self._put_off_newest()
            if number in self._running:
                self._free -= 1
                self._running[number].held += 1

    def _put_off_newest(self) -> None:
        row = self._running[next(reversed(self._running))]
        row.drawn += self._step - row.started
        self._remove(row)
        self._waiting.appendleft(row)
        self._rest = 0
        self._put_off += 1

    def _leave(self) -> None:
        while self._ends and self._ends[0][0] <= self._step:
            _, number, started = heapq.heappop(self._ends)
            row = self._running.get(number)
            if row is not None and row.started == started:
                row.drawn = self._job.replies[number]
                self._remove(row)

    def _remove(self, row: _Row) -> None:
        del self._running[row.number]
        del self._growing[row.phase][row.number]
        group = row.number // self._job.group
        self._prompts[group] -= 1
        if not self._prompts[group]:
            # vLLM keeps such blocks for as long as nobody needs them; here they go.
            del self._prompts[group]
            self._free += self._job.shared // BLOCK
        self._free += row.held
        self._context -= self._job.prompt + row.drawn
