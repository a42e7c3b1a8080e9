"""A prompt set as the ids that a pair is calibrated on."""

import hashlib

from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser

from inspect_lda.calibration.asked import Ask, Asked
from inspect_lda.calibration.records import PromptRecord
from inspect_lda.chat.render import ChatRenderer
from inspect_lda.tasks.prompt_sets import PromptSet

PROMPTS = "builtin:everyday"
COUNT = 64


def render(
    renderer: ChatRenderer,
    source: PromptSet,
    count: int,
    *,
    chat_template: str | None = None,
    enable_thinking: bool | None = None,
) -> Asked:
    """Render prompts as a task does.

    Args:
        renderer: Of the model.
        source: The set.
        count: Most prompts, spread over the set.
        chat_template: What the renderer was made with, for the record.
        enable_thinking: Likewise.

    Raises:
        LDAError: If the count is not at least 1, or a prompt cannot be rendered.
    """
    asks = []
    for prompt in source.pick(count):
        messages: list[ChatMessage] = [ChatMessageUser(content=prompt.input)]
        default = source.content.defaults.system
        if system := default if prompt.system is None else prompt.system:
            messages.insert(0, ChatMessageSystem(content=system))
        asks.append(Ask(prompt.id, prompt.cluster, renderer.render(messages).ids))
    digest = hashlib.sha256(repr([ask.ids for ask in asks]).encode()).hexdigest()
    record = PromptRecord(
        spec=source.spec,
        sha256=digest,
        prompts=len(asks),
        tokens=sum(len(ask.ids) for ask in asks),
        chat_template=chat_template,
        enable_thinking=enable_thinking,
    )
    return Asked(tuple(asks), record)
