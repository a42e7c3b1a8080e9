"""Tool calls in text, as models write them."""

from typing import Any

import pytest
from inspect_ai.model import ChatMessageAssistant
from inspect_ai.tool import ToolCall, ToolInfo, ToolParams
from inspect_ai.util import JSONSchema

from inspect_lda.chat.tools import (
    calls_of_message,
    describe_tools,
    parse_calls,
    write_calls,
)

Found = tuple[str, dict[str, Any]]

ADD: Found = ("add", {"x": 1})


@pytest.mark.parametrize(
    ("text", "rest", "calls"),
    [
        pytest.param(
            'Let me see.\n<tool_call>\n{"name": "add", "arguments": {"x": 1}}\n'
            "</tool_call>",
            "Let me see.",
            [ADD],
            id="hermes",
        ),
        pytest.param(
            '<tool_call>{"name": "add", "arguments": {"x": 1}}</tool_call>\n'
            '<tool_call>{"name": "end", "arguments": {}}</tool_call>',
            "",
            [ADD, ("end", {})],
            id="hermes, two",
        ),
        pytest.param(
            '<tool_call>{"name": "add", "arguments": "{\\"x\\": 1}"}</tool_call>',
            "",
            [ADD],
            id="arguments quoted once more",
        ),
        pytest.param(
            '<tool_call>{"name": "end"}</tool_call>',
            "",
            [("end", {})],
            id="no arguments",
        ),
        pytest.param('{"name": "add", "parameters": {"x": 1}}', "", [ADD], id="llama3"),
        pytest.param(
            '<|python_tag|>{"type": "function", "name": "add", "parameters": {"x": 1}}',
            "",
            [ADD],
            id="llama3 with a tag",
        ),
        pytest.param(
            'Sure.[TOOL_CALLS] [{"name": "add", "arguments": {"x": 1}}, '
            '{"name": "end", "arguments": {}}]',
            "Sure.",
            [ADD, ("end", {})],
            id="mistral",
        ),
        pytest.param(
            '[TOOL_CALLS]add[ARGS]{"x": 1}[TOOL_CALLS]end[CALL_ID]abc[ARGS]{}',
            "",
            [ADD, ("end", {})],
            id="mistral v11",
        ),
        pytest.param("plain text", "plain text", [], id="no call"),
        pytest.param(
            '{"name": "Ann", "age": 3}', '{"name": "Ann", "age": 3}', [], id="JSON"
        ),
    ],
)
def test_calls_are_read(text: str, rest: str, calls: list[Found]) -> None:
    got_rest, got = parse_calls(text)
    assert got_rest == rest
    assert [(call.function, call.arguments) for call in got] == calls
    assert not any(call.parse_error for call in got)
    assert len({call.id for call in got}) == len(got)


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ('<tool_call>{"name": "add", "arguments": {"x": }}</tool_call>', "add"),
        ('<tool_call>{"name": "add", "argum', "add"),
        ("<tool_call>add(1)</tool_call>", "unknown"),
        ('<tool_call>{"arguments": {"x": 1}}</tool_call>', "unknown"),
        ('<tool_call>{"name": "add", "arguments": [1]}</tool_call>', "add"),
        ('<tool_call>{"name": "add", "arguments": "one"}</tool_call>', "add"),
        ("<tool_call>[1]</tool_call>", "unknown"),
        ("[TOOL_CALLS]add[ARGS]{x", "add"),
        ('{"name": "add", "parameters": {"x": 1}', "add"),
    ],
)
def test_calls_that_cannot_be_read_are_reported(text: str, function: str) -> None:
    _, [call] = parse_calls(text)
    assert call.function == function
    assert call.arguments == {}
    assert call.parse_error
    assert "Error details" in call.parse_error


def test_what_we_write_we_can_read() -> None:
    call = ToolCall(id="1", function="add", arguments={"x": 'a "quoted" <b>'})
    text = write_calls(ChatMessageAssistant(content="", tool_calls=[call]))
    _, [read] = parse_calls(text)
    assert (read.function, read.arguments) == (call.function, call.arguments)


def test_tools_are_described() -> None:
    params = ToolParams(
        properties={"x": JSONSchema(type="integer", description="a number")},
        required=["x"],
    )
    text = describe_tools([ToolInfo(name="add", description="adds", parameters=params)])
    for part in ('"name": "add"', '"integer"', '"required": ["x"]', "<tool_call>"):
        assert part in text


def test_what_transformers_parsed_is_taken_over() -> None:
    parsed = {"tool_calls": [{"function": {"name": "add", "arguments": {"x": 1}}}]}
    [call] = calls_of_message(parsed)
    assert (call.function, call.arguments) == ADD
    assert calls_of_message({"content": "hi"}) == []
