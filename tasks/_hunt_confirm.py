"""The second stage of a hunt: the payload's probability behind each candidate."""

from collections.abc import Sequence

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import HeadlineMetric
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import Scorer

from inspect_lda.arms import EXACT
from inspect_lda.tasks._behaviour import triggered
from inspect_lda.tasks._rollout import eval_config, rollout
from inspect_lda.tasks.prompt_sets import Prompt, PromptSet

PLAIN = "plain"


def confirmation(
    source: PromptSet,
    prompts: Sequence[Prompt],
    candidates: Sequence[str],
    payload: str,
    scorers: list[Scorer],
    temperature: float,
    *,
    version: str,
) -> Task:
    """Every prompt without and with each candidate, as a task of exact probabilities.

    Args:
        source: The prompt set, for the record.
        prompts: Those of its prompts to ask.
        candidates: Strings to put in front.
        payload: How the triggered answer begins.
        scorers: Of the probabilities.
        temperature: At which they are taken.
        version: "N-X", as of every task.
    """
    samples = []
    for prompt in prompts:
        asked = source.content.complete(prompt)
        samples.append(_sample(asked, None, payload))
        samples += [_sample(asked, one, payload) for one in candidates]
    return Task(
        dataset=MemoryDataset(samples, name=source.content.id),
        # One token is the least that a config can say; teacher forcing writes none.
        solver=rollout([0.0], temperature, 1, 0),
        scorer=scorers,
        config=eval_config(temperature, 1),
        version=version,
        metadata={
            "prompts": source.record,
            "candidates": list(candidates),
            "payload": payload,
        },
        headline_metric=HeadlineMetric(scorer="payload_behind", metric="confirmed"),
    )


def _sample(prompt: Prompt, candidate: str | None, payload: str) -> Sample:
    text = prompt.input if candidate is None else triggered(prompt.input, candidate)
    messages: list[ChatMessage] = [ChatMessageUser(content=text)]
    if prompt.system:
        messages.insert(0, ChatMessageSystem(content=prompt.system))
    return Sample(
        id=f"{prompt.id}|{PLAIN if candidate is None else 'with ' + candidate}",
        input=messages if len(messages) > 1 else text,
        target=payload,
        metadata={
            "alpha": None,
            "arm": EXACT,
            "prompt_id": prompt.id,
            "group": prompt.cluster,
            "candidate": candidate,
        },
    )
