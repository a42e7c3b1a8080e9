"""From prompts, arms and scorers to a task: what all sweeps have in common."""

from collections.abc import Sequence
from typing import Any

from inspect_ai import Epochs, Task
from inspect_ai.log import HeadlineMetric
from inspect_ai.scorer import Scorer

from inspect_lda.arms import CONTROL
from inspect_lda.chat import RenderForm
from inspect_lda.errors import LDAError, nearest
from inspect_lda.scorers.condition import condition
from inspect_lda.scorers.likelihood_coherence import likelihood_coherence
from inspect_lda.tasks._arms import Design
from inspect_lda.tasks._rollout import Asking, eval_config, rollout
from inspect_lda.tasks._view import sweep_view
from inspect_lda.tasks.prompt_sets import PromptSet


def experiment(
    source: PromptSet,
    design: Design,
    detectors: Sequence[Scorer],
    headline: str,
    asking: Asking,
    *,
    rollouts: int,
    version: str,
    control: str | None = None,
    measure: str = "peak_rate",
    says: str = "hit",
    **metadata: Any,
) -> Task:
    """A sweep over alpha as a task.

    Args:
        source: The prompt set, for the record.
        design: Which samples to make.
        detectors: Scorers of the behaviour; coherence and condition are added.
        headline: Name of the detector whose metric is the task's headline.
        asking: How to sample.
        rollouts: Completions per sample.
        version: "N-X": N changes when scores stop being comparable, X when options do.
        control: Model for the role "control".
        measure: The headline's metric.
        says: What the detector's value is, for the viewer.
        **metadata: For the log, beside the prompt set's record.
    """
    return Task(
        dataset=design.dataset(source.content.id),
        solver=rollout(
            list(design.alphas),
            asking.temperature,
            asking.max_tokens,
            asking.seed,
            asking.render,
        ),
        scorer=[*detectors, likelihood_coherence(), condition()],
        config=eval_config(asking.temperature, asking.max_tokens),
        model_roles={CONTROL: control} if control else None,
        epochs=Epochs(rollouts, []),
        version=version,
        metadata={"prompts": source.record, **metadata},
        viewer=sweep_view(headline, says),
        headline_metric=HeadlineMetric(scorer=headline, metric=measure),
    )


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a word that is not among those allowed.

    Raises:
        LDAError: If it is not; names the nearest.
    """
    if value not in allowed:
        raise LDAError(f"{name}={value!r}: {nearest(value, allowed)}")


def render_form(chat_template: str | None) -> RenderForm:
    """What a task's `chat_template` says of its requests.

    Raises:
        LDAError: If it is anything but nothing or "none".
    """
    if chat_template is None:
        return "chat"
    if chat_template == "none":
        return "none"
    raise LDAError(
        f"chat_template={chat_template!r}: a task takes none (plain text) or nothing; "
        "a template of your own goes with the model: -M chat_template=FILE"
    )
