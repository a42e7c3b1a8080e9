"""Inspect's messages as the plain dicts that chat templates read."""

from collections.abc import Sequence
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageTool,
    ContentReasoning,
    ContentText,
)

from inspect_lda.chat.tools import result_text, write_calls, write_result
from inspect_lda.errors import LDAError

Message = dict[str, Any]


def as_dict(message: ChatMessage, *, native: bool) -> Message:
    """One message.

    Args:
        message: The message.
        native: The template knows tools. If not, calls and results become text.

    Raises:
        LDAError: If the message holds anything but text and reasoning.
    """
    if isinstance(message, ChatMessageTool):
        _text(message)  # refuses media
        if not native:
            return {"role": "user", "content": write_result(message)}
        result: Message = {"role": "tool", "content": result_text(message)}
        if message.function is not None:
            result["name"] = message.function
        if message.tool_call_id is not None:
            result["tool_call_id"] = message.tool_call_id
        return result
    result = {"role": message.role, "content": _text(message)}
    if isinstance(message, ChatMessageAssistant) and message.tool_calls:
        if native:
            result["tool_calls"] = [
                {
                    "type": "function",
                    "id": call.id,
                    "function": {"name": call.function, "arguments": call.arguments},
                }
                for call in message.tool_calls
            ]
        else:
            text = f"{result['content']}\n{write_calls(message)}"
            result["content"] = text.strip()
    return result


def _text(message: ChatMessage) -> str:
    parts: list[str] = []
    thoughts = ""
    for content in message.content_list:
        if isinstance(content, ContentText):
            parts.append(content.text)
        elif isinstance(content, ContentReasoning):
            thought = content.summary if content.redacted else content.reasoning
            thoughts += f"<think>\n{thought or ''}\n</think>\n\n"
        else:
            raise LDAError(
                f"a {message.role} message holds content of type '{content.type}'. "
                "Allowed: text"
            )
    return thoughts + "\n".join(parts)


def with_system(dicts: Sequence[Message], text: str) -> list[Message]:
    """Add a text to the system message, or a system message with it."""
    system: Message = {"role": "system", "content": text}
    if dicts[0]["role"] != "system":
        return [system, *dicts]
    return [{**system, "content": join(dicts[0], system)}, *dicts[1:]]


def merge_users(dicts: Sequence[Message]) -> list[Message]:
    """Join neighbouring user messages (tool results told as text) into one turn."""
    merged: list[Message] = []
    for message in dicts:
        if merged and merged[-1]["role"] == message["role"] == "user":
            merged[-1] = {**message, "content": join(merged[-1], message, "\n")}
        else:
            merged.append(message)
    return merged


def join(first: Message, second: Message, separator: str = "\n\n") -> str:
    """The contents of two messages, one after the other."""
    return f"{first['content']}{separator}{second['content']}"
