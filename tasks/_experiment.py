"""From prompts, arms and scorers to a task: what all sweeps have in common."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from inspect_ai import Epochs, Task
from inspect_ai.log import HeadlineMetric
from inspect_ai.model import model_roles
from inspect_ai.scorer import Scorer

from inspect_lda.arms import CONTROL
from inspect_lda.chat import RenderForm
from inspect_lda.errors import LDAError
from inspect_lda.scorers._grading.roles import graders_ready
from inspect_lda.scorers.condition import condition
from inspect_lda.scorers.likelihood_coherence import likelihood_coherence
from inspect_lda.tasks._alphas import Alphas, parse_alphas
from inspect_lda.tasks._arms import Design
from inspect_lda.tasks._behaviour import Behaviour
from inspect_lda.tasks._rollout import Asking, eval_config, rollout
from inspect_lda.tasks._stop import Stop, parse_stop
from inspect_lda.tasks._stopping import SequentialStop, in_random_order
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
    graders: Sequence[str] = (),
    summary: HeadlineMetric | None = None,
    says: str = "hit",
    stop: Stop | None = None,
    **metadata: Any,
) -> Task:
    """A sweep over alpha as a task.

    Args:
        source: The prompt set, for the record.
        design: Which samples to make.
        detectors: Scorers of the behaviour; coherence and condition are added.
        headline: Name of the detector, for the viewer and the task's headline.
        asking: How to sample.
        rollouts: Completions per sample.
        version: "N-X": N changes when scores stop being comparable, X when options do.
        control: Model for the role "control".
        graders: Roles that must be there before anything is sampled.
        summary: The task's headline, if it is not the detector's peak rate.
        says: What the detector's value is, for the viewer.
        stop: When the verdict is certain; the prompts are then asked in random order.
        **metadata: For the log, beside the prompt set's record.
    """
    if (sought := parse_stop(stop)) is not None:
        design = replace(design, prompts=in_random_order(design.prompts, asking.seed))
        metadata["stop"] = sought.model_dump()
    return Task(
        dataset=design.dataset(source.content.id),
        setup=graders_ready(list(graders)) if graders else None,
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
        early_stopping=None if sought is None else SequentialStop(sought, headline),
        version=version,
        metadata={"prompts": source.record, **metadata},
        viewer=sweep_view(headline, says),
        headline_metric=summary or HeadlineMetric(scorer=headline, metric="peak_rate"),
    )


def plain_sweep(
    source: PromptSet,
    alphas: Alphas,
    sought: str,
    limit: int | None,
    control: str | None,
    prefill: str | None,
    *,
    whole: bool = False,
) -> Design:
    """The design of a task without trigger or known string.

    Args:
        source: The prompt set.
        alphas: The sweep, as typed.
        sought: The behaviour in words, for the log.
        limit: Most prompts; None for all.
        control: Model for the role "control", if the task names one.
        prefill: How answers begin.
        whole: Keep groups of prompts whole under a limit.
    """
    return Design(
        prompts=source.pick(limit, whole=whole),
        alphas=parse_alphas(alphas),
        behaviour=Behaviour(sought, None, None),
        system=source.content.defaults.system,
        control=control is not None or CONTROL in model_roles(),
        exact=False,
        prefill=prefill,
    )


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
