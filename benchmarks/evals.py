"""Inspect evals as contestants: one workload, asked of two providers."""

import importlib
import tempfile
import time
from dataclasses import dataclass

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import GenerateConfig, Model
from inspect_ai.solver import Generate, Solver, TaskState, solver

from benchmarks.workloads import TEMPERATURE
from inspect_lda.tasks.prompt_sets import load_prompts

PACKAGE = "inspect_logittilt"
OURS, THEIRS = "ours", "inspect-logittilt"
PROMPTS = load_prompts("builtin:everyday").content.prompts
STRENGTHS = (0.3, 1.0, 2.0, 3.0)
"""None is 0, at which either package may spare itself work."""


@dataclass(frozen=True)
class Workload:
    """What both providers are asked.

    Attributes:
        name: For the table.
        prompts: Different prompts of each eval.
        first: Where in the prompt set they begin; each eval of a run goes on from
            there, so that no engine has seen a prompt before.
        mixed: Whether every request has its own seed, and the four strengths take
            turns. Otherwise all are alike and unseeded: the peer's best case.
        max_tokens: Of each request.
        connections: Requests in flight, and rows of a batch.
    """

    name: str
    prompts: int
    first: int
    mixed: bool
    max_tokens: int
    connections: int

    def task(self, who: str, turn: int) -> Task:
        """The task of one turn, each request made as that package's users make it."""
        begin = self.first + turn * self.prompts
        texts = PROMPTS[begin : begin + self.prompts]
        samples = [
            Sample(input=prompt.input, metadata={"strength": strength})
            for prompt in texts
            for strength in STRENGTHS
        ]
        for index, sample in enumerate(samples):
            sample.id = index + 1
            if not self.mixed:
                sample.metadata = {"strength": STRENGTHS[1]}
        config = GenerateConfig(
            temperature=TEMPERATURE,
            max_tokens=self.max_tokens,
            max_connections=self.connections,
        )
        return Task(samples, solver=ask(who, seeded=self.mixed), config=config)


@solver
def ask(who: str, seeded: bool) -> Solver:
    """Generate at the sample's strength.

    Args:
        who: Whose way of setting the strength.
        seeded: Whether the sample's number is its seed.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        strength = state.metadata["strength"]
        seed = int(state.sample_id) if seeded else None
        if who == OURS:
            body = {"lda": {"alpha": strength}}
            return await generate(state, seed=seed, extra_body=body)
        importlib.import_module(PACKAGE).set_steering(steering_strength=strength)
        return await generate(state, seed=seed)

    return solve


class Entrant:
    """One provider at one workload; remembers how much it generated."""

    def __init__(self, who: str, model: Model, workload: Workload) -> None:
        self.tokens: list[int] = []
        self._who, self._model, self._workload = who, model, workload

    def seconds(self) -> float:
        """CPU seconds of one eval.

        Raises:
            RuntimeError: If the eval failed.
        """
        task = self._workload.task(self._who, turn=len(self.tokens))
        with tempfile.TemporaryDirectory() as logs:
            begun = time.process_time()
            (log,) = eval(task, model=self._model, log_dir=logs, display="none")
            seconds = time.process_time() - begun
            if log.status != "success":
                raise RuntimeError(f"{self._who}: {log.error}")
            self.tokens.append(self._sampled(log))
        return seconds

    def _sampled(self, log: EvalLog) -> int:
        total = 0
        for sample in log.samples or []:
            if self._who == OURS:
                usage = sample.output.usage
                total += usage.output_tokens if usage else 0
            else:
                # It reports no usage, and leaves out the token that ended the turn.
                shown = (sample.output.metadata or {})["logittilt"]["tokens"]
                total += min(shown + 1, self._workload.max_tokens)
        return total
