"""Messages to token ids, with real tokenizers."""

from pathlib import Path
from typing import Any

import pytest
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    Content,
    ContentImage,
    ContentReasoning,
    ContentText,
)
from inspect_ai.tool import ToolCall, ToolCallError, ToolInfo
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from inspect_lda.chat.render import ChatRenderer
from inspect_lda.errors import LDAError
from tests.provider.conftest import TOOL_TEMPLATE
from tests.tiny import BOS, CHAT_TEMPLATE, tiny_tokenizer

NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}" + CHAT_TEMPLATE
)
MISTRAL = (
    "{% for m in messages %}{% if m.tool_call_id and m.tool_call_id | length != 9 %}"
    "{{ raise_exception('ids need 9 characters') }}{% endif %}"
    "{% for c in m.tool_calls or [] %}[TOOL_CALLS]{{ c.function.name }}"
    "{{ c.id }}{% endfor %}{{ m.tool_call_id }}{{ m.content }}{% endfor %}"
    "{{ tools | tojson if tools }}"
)
ADD = ToolInfo(name="add", description="adds")
TURN: list[ChatMessage] = [
    ChatMessageSystem(content="be brief"),
    ChatMessageUser(content="1"),
    ChatMessageAssistant(
        content="so", tool_calls=[ToolCall(id="c1", function="add", arguments={"x": 1})]
    ),
    ChatMessageTool(content="sum 1", tool_call_id="c1", function="add"),
]


def renderer(template: str | None = CHAT_TEMPLATE, **options: Any) -> ChatRenderer:
    return ChatRenderer(
        tiny_tokenizer(chat_template=template), checkpoint="org/after", **options
    )


def adds_bos(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", BOS)]
    )
    assert tokenizer("a")["input_ids"][0] == BOS
    return tokenizer


def test_one_conversation() -> None:
    prompt = renderer().render([ChatMessageUser(content="hi")])
    assert prompt.text == "<bos>user: hi<eos>assistant: "
    assert prompt.ids == tuple(
        tiny_tokenizer()(prompt.text, add_special_tokens=False)["input_ids"]
    )
    assert not prompt.continued


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, "none"])
@pytest.mark.parametrize("text", ["hi", "<bos>hi"])
def test_never_two_bos(template: str, text: str) -> None:
    tokenizer = adds_bos(tiny_tokenizer())
    plain = "none" if template == "none" else None
    chat = ChatRenderer(tokenizer, checkpoint="x", chat_template=plain)
    ids = chat.render([ChatMessageUser(content=text)]).ids
    assert ids[0] == BOS
    assert ids[1] != BOS


def test_a_trailing_assistant_message_is_continued() -> None:
    messages: list[ChatMessage] = [
        ChatMessageUser(content="hi"),
        ChatMessageAssistant(content="Well, I"),
    ]
    prompt = renderer().render(messages)
    assert prompt.text == "<bos>user: hi<eos>assistant: Well, I"
    assert prompt.continued
    messages[-1] = ChatMessageAssistant(content="")
    assert renderer().render(messages).text == "<bos>user: hi<eos>assistant: "


def test_plain_text_for_base_models() -> None:
    messages: list[ChatMessage] = [
        ChatMessageUser(content="Once"),
        ChatMessageAssistant(content="upon"),
    ]
    assert renderer(None, chat_template="none").render(messages).text == "Once\nupon"


def test_a_template_file(tmp_path: Path) -> None:
    file = tmp_path / "t.jinja"
    file.write_text("{{ messages[0].content }}!{{ enable_thinking }}")
    chat = renderer(None, chat_template=str(file), enable_thinking=False)
    assert chat.render([ChatMessageUser(content="hi")]).text == "hi!False"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"'org/after' has no chat template.*chat_template=none"),
        ({"chat_template": "/no/such"}, r"-M chat_template='/no/such' cannot be read"),
    ],
)
def test_missing_templates_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LDAError, match=message):
        renderer(None, **options)


@pytest.mark.parametrize("messages", [[], [ChatMessageUser(content=" \n")]])
def test_empty_prompts_are_refused(messages: list[ChatMessage]) -> None:
    with pytest.raises(LDAError, match="the prompt is empty"):
        renderer().render(messages)


def test_media_are_refused() -> None:
    image = ContentImage(image="data:image/png;base64,AAAA")
    with pytest.raises(LDAError, match="user message holds content of type 'image'"):
        renderer().render([ChatMessageUser(content=[image])])


def test_reasoning_is_put_back() -> None:
    content: list[Content] = [ContentReasoning(reasoning="hm"), ContentText(text="yes")]
    messages: list[ChatMessage] = [
        ChatMessageUser(content="a"),
        ChatMessageAssistant(content=content),
        ChatMessageUser(content="b"),
    ]
    text = renderer().render(messages).text
    assert "assistant: <think>\nhm\n</think>\n\nyes<eos>" in text


def test_a_template_without_system_role_gets_it_in_the_turn() -> None:
    messages: list[ChatMessage] = [
        ChatMessageSystem(content="sys"),
        ChatMessageUser(content="hi"),
    ]
    text = renderer(NO_SYSTEM).render(messages).text
    assert text == "<bos>user: sys\n\nhi<eos>assistant: "


def test_what_a_template_refuses_is_told() -> None:
    template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(LDAError, match=r"refused .*\(user\): roles must alternate"):
        renderer(template).render([ChatMessageUser(content="hi")])


def test_tools_go_to_templates_that_show_them() -> None:
    text = renderer(TOOL_TEMPLATE).render(TURN, [ADD]).text
    assert text == (
        "<bos>tools: add system: be brief<eos>user: 1<eos>assistant: so<tool_call>"
        '{"name": "add", "arguments": {"x": 1}}</tool_call><eos>'
        "tool: sum 1<eos>assistant: "
    )


def test_other_templates_get_tools_as_text() -> None:
    error = ToolCallError("timeout", "too slow")
    failed = ChatMessageTool(content="", error=error, tool_call_id="c1")
    text = renderer().render([*TURN, failed], [ADD]).text
    assert text.startswith("<bos>system: be brief\n\nYou can call functions.")
    assert '"name": "add"' in text
    assert (
        'assistant: so\n<tool_call>\n{"name": "add", "arguments": {"x": 1}}\n'
        "</tool_call><eos>user: <tool_response>\nsum 1\n</tool_response>\n"
        "<tool_response>\nError: too slow\n</tool_response><eos>assistant: "
    ) in text
    with pytest.raises(LDAError, match="tools need a chat template"):
        renderer(chat_template="none").render(TURN[:2], [ADD])


def test_mistral_gets_call_ids_of_nine_characters() -> None:
    text = renderer(MISTRAL).render(TURN, [ADD]).text
    assert "[TOOL_CALLS]add" in text
    assert "<tool_call>" not in text  # native: the ids passed its check


def test_targets_follow_the_prompt_token_by_token() -> None:
    chat = renderer()
    prompt = chat.render([ChatMessageUser(content="hi")])
    ids = chat.continuation(prompt, "the end")
    joint = chat.tokenizer(prompt.text + "the end", add_special_tokens=False)
    assert prompt.ids + ids == tuple(joint["input_ids"])


def test_a_target_that_would_merge_into_the_prompt_keeps_the_prompt() -> None:
    chat = renderer()
    messages: list[ChatMessage] = [
        ChatMessageUser(content="hi"),
        ChatMessageAssistant(content="t"),
    ]
    prompt = chat.render(messages)
    ids = chat.continuation(prompt, "he end")  # "t" + "he" is one token, "the"
    joint = chat.tokenizer(prompt.text + "he end", add_special_tokens=False)
    assert tuple(joint["input_ids"])[: len(prompt.ids)] != prompt.ids
    assert chat.tokenizer.decode(ids) == "he end"


def test_a_target_of_unknown_characters_is_refused() -> None:
    chat = renderer()
    messages: list[ChatMessage] = [
        ChatMessageUser(content="hi"),
        ChatMessageAssistant(content="t"),
    ]
    with pytest.raises(LDAError, match="cannot be tokenised after this prompt"):
        chat.continuation(chat.render(messages), "he €")
