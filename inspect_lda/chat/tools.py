"""Tool calls in text: how models write them, and how to teach those that cannot.

What a checkpoint's own tokenizer can parse (its `response_template`) is left to it; the
common open formats are data below. Calls are only looked for when tools were offered. A
call that cannot be read becomes a `ToolCall` with `parse_error`, which Inspect reports
back to the model.
"""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from inspect_ai.model import ChatMessageAssistant, ChatMessageTool
from inspect_ai.tool import ToolCall, ToolInfo


@dataclass(frozen=True)
class ToolFormat:
    """One way of writing calls.

    Attributes:
        name: What the format is known as.
        pattern: Matches a call; group `json` is an object or a list of objects, or, if
            there is a group `name`, the arguments alone.
        bare: Nothing marks a call: JSON that is not a call is ordinary text.
    """

    name: str
    pattern: re.Pattern[str]
    bare: bool = False


FORMATS = (
    ToolFormat(
        "hermes",
        re.compile(r"<tool_call>\s*(?P<json>.*?)\s*(?:</tool_call>|\Z)", re.DOTALL),
    ),
    ToolFormat(
        "mistral-v11",
        re.compile(
            r"\[TOOL_CALLS\]\s*(?P<name>[\w.-]+)\s*(?:\[CALL_ID\]\w+\s*)?"
            r"\[ARGS\]\s*(?P<json>.*?)\s*(?=\[TOOL_CALLS\]|\Z)",
            re.DOTALL,
        ),
    ),
    ToolFormat(
        "mistral",
        re.compile(r"\[TOOL_CALLS\]\s*(?P<json>.*?)\s*\Z", re.DOTALL),
    ),
    ToolFormat(
        "llama3",
        re.compile(
            r"\A\s*(?:<\|python_tag\|>\s*)?(?P<json>\{\s*\"(?:type|name)\".*?)\s*\Z",
            re.DOTALL,
        ),
        bare=True,
    ),
)
_NAME = re.compile(r'"name"\s*:\s*"([^"]+)"')


def as_functions(tools: Sequence[ToolInfo]) -> list[dict[str, Any]]:
    """Tools in the form chat templates expect."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters.model_dump(exclude_none=True),
            },
        }
        for tool in tools
    ]


def describe_tools(tools: Sequence[ToolInfo]) -> str:
    """A system text that teaches the Hermes format to models without one."""
    lines = "\n".join(json.dumps(function) for function in as_functions(tools))
    text = files("inspect_lda.chat").joinpath("tools.md").read_text(encoding="utf-8")
    return text.strip().replace("{tools}", lines)


def write_calls(message: ChatMessageAssistant) -> str:
    """The calls of a message as Hermes text."""
    blocks = (
        json.dumps({"name": call.function, "arguments": call.arguments})
        for call in message.tool_calls or []
    )
    return "\n".join(f"<tool_call>\n{block}\n</tool_call>" for block in blocks)


def write_result(message: ChatMessageTool) -> str:
    """A tool's result as Hermes text."""
    return f"<tool_response>\n{result_text(message)}\n</tool_response>"


def result_text(message: ChatMessageTool) -> str:
    """What the tool said, or what went wrong."""
    return f"Error: {message.error.message}" if message.error else message.text


def parse_calls(text: str) -> tuple[str, list[ToolCall]]:
    """Split a completion into text and tool calls; without any it stays as it is."""
    for form in FORMATS:
        calls = [
            call for match in form.pattern.finditer(text) for call in _read(form, match)
        ]
        if calls:
            return form.pattern.sub("", text).strip(), calls
    return text, []


def calls_of_message(parsed: Mapping[str, Any]) -> list[ToolCall]:
    """The calls in what `tokenizer.parse_response` returns."""
    functions = (call.get("function", call) for call in parsed.get("tool_calls") or ())
    return [
        _call(function.get("name"), function.get("arguments"), json.dumps(function))
        for function in functions
    ]


def _read(form: ToolFormat, match: re.Match[str]) -> list[ToolCall]:
    payload = match["json"]
    name = match.groupdict().get("name")
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        guess = _NAME.search(payload)
        if form.bare and guess is None:
            return []
        return [_broken(name or (guess[1] if guess else "unknown"), payload, error)]
    if name is not None:
        return [_call(name, value, payload)]
    items = value if isinstance(value, list) else [value]
    if form.bare and not all(_is_call(item) for item in items):
        return []
    return [
        _call(item.get("name"), item.get("arguments", item.get("parameters")), payload)
        if isinstance(item, dict)
        else _broken("unknown", payload, TypeError("a call must be a JSON object"))
        for item in items
    ]


def _is_call(item: object) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("name"), str)
        and isinstance(item.get("arguments", item.get("parameters")), dict)
    )


def _call(name: object, arguments: object, payload: str) -> ToolCall:
    if not isinstance(name, str) or not name:
        return _broken("unknown", payload, ValueError("'name' is missing"))
    if isinstance(arguments, str):  # some models quote the object once more
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            return _broken(name, payload, error)
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        return _broken(name, payload, TypeError("'arguments' must be a JSON object"))
    return ToolCall(id=_new_id(name), function=name, arguments=arguments)


def _broken(name: str, payload: str, error: Exception) -> ToolCall:
    return ToolCall(
        id=_new_id(name),
        function=name,
        arguments={},
        parse_error=f"Error parsing the following tool call:\n\n{payload}\n\n"
        f"Error details: {error}",
    )


def _new_id(name: str) -> str:
    return f"{name}_{uuid.uuid4().hex[:16]}"
