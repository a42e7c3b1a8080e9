"""Chat templates: where they come from, and what a given one can show to the model."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inspect_lda.chat.messages import Message
from inspect_lda.errors import LDAError

PLAIN = "none"
"""The value of `-M chat_template=` that sends the text of the messages as it is."""

_PROBE = "lda_probe_tool"
_FUNCTION = {"name": _PROBE, "description": _PROBE, "parameters": {}}
_CALL: dict[str, Any] = {"name": "lda_probe_call", "arguments": {}}
_CALL_ID = "a" * 9
_PROBES: list[Message] = [
    {"role": "user", "content": "x"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "id": _CALL_ID, "function": _CALL}],
    },
    {
        "role": "tool",
        "content": "lda_probe_result",
        "name": _PROBE,
        "tool_call_id": _CALL_ID,
    },
]


def read_template(
    tokenizer: Any, checkpoint: str, chat_template: str | None
) -> str | None:
    """The template to pass on: None is the tokenizer's own, or none at all.

    Raises:
        LDAError: If there is no template, or the file cannot be read.
    """
    if chat_template is None:
        if tokenizer.chat_template:
            return None
        raise LDAError(
            f"'{checkpoint}' has no chat template (a base model?). Give one with "
            "-M chat_template=<file.jinja>, or send plain text with "
            "-M chat_template=none"
        )
    if chat_template == PLAIN:
        return None
    try:
        return Path(chat_template).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LDAError(
            f"-M chat_template={chat_template!r} cannot be read: {error}. "
            "Allowed: a Jinja file, or none"
        ) from error


def shows_tools(render: Callable[[list[Message], list[dict[str, Any]]], str]) -> bool:
    """Whether a template shows tools, calls and results; probed by rendering some.

    Half a support (results in a role the checkpoint never saw, say) counts as none.
    """
    try:
        text = render(_PROBES, [{"type": "function", "function": _FUNCTION}])
    except Exception:  # templates are programs of others: any failure means "no"
        return False
    return all(mark in text for mark in (_PROBE, "lda_probe_call", "lda_probe_result"))


def fit_call_ids(dicts: list[Message], template: object) -> list[Message]:
    """Mistral's templates refuse call ids that are not nine letters or digits."""
    if "[TOOL_CALLS]" not in str(template):
        return dicts
    fitted = []
    for message in dicts:
        copy = dict(message)
        if "tool_call_id" in copy:
            copy["tool_call_id"] = _nine(copy["tool_call_id"])
        if "tool_calls" in copy:
            copy["tool_calls"] = [
                {**call, "id": _nine(call["id"])} for call in copy["tool_calls"]
            ]
        fitted.append(copy)
    return fitted


def _nine(call_id: str) -> str:
    return hashlib.sha256(call_id.encode()).hexdigest()[:9]
