"""Prompts without a template, and prompts that stop inside the user's turn."""

import pytest
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
)
from inspect_ai.tool import ToolInfo

from inspect_lda.chat.render import ChatRenderer
from inspect_lda.errors import LDAError
from tests.provider.conftest import MakeModel, ask
from tests.tiny import BOS, CHAT_TEMPLATE, tiny_tokenizer

SYSTEM = ChatMessageSystem(content="be brief")
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}" + CHAT_TEMPLATE
)


def renderer(
    template: str = CHAT_TEMPLATE, chat_template: str | None = None
) -> ChatRenderer:
    tokenizer = tiny_tokenizer(chat_template=template)
    return ChatRenderer(tokenizer, checkpoint="org/after", chat_template=chat_template)


@pytest.mark.parametrize(
    ("template", "messages", "text"),
    [
        (CHAT_TEMPLATE, [ChatMessageUser(content="hi, I")], "<bos>user: hi, I"),
        (CHAT_TEMPLATE, [ChatMessageUser(content="")], "<bos>user: "),
        (
            CHAT_TEMPLATE,
            [SYSTEM, ChatMessageUser(content="so ")],
            "<bos>system: be brief<eos>user: so ",
        ),
        (
            NO_SYSTEM,
            [SYSTEM, ChatMessageUser(content="so")],
            "<bos>user: be brief\n\nso",
        ),
    ],
)
def test_the_user_s_turn_stays_open(
    template: str, messages: list[ChatMessage], text: str
) -> None:
    prompt = renderer(template).render(messages, form="user")
    assert (prompt.text, prompt.continued) == (text, True)
    assert prompt.ids[:2] != (BOS, BOS)


@pytest.mark.parametrize(
    ("messages", "tools", "plain"),
    [
        ([ChatMessageUser(content="a"), ChatMessageAssistant(content="b")], [], False),
        ([ChatMessageUser(content="a")], [ToolInfo(name="f", description="f")], False),
        ([ChatMessageUser(content="a")], [], True),
    ],
)
def test_an_open_user_turn_needs_one(
    messages: list[ChatMessage], tools: list[ToolInfo], plain: bool
) -> None:
    chat = renderer(chat_template="none" if plain else None)
    with pytest.raises(LDAError, match=r"render='user'.*user message at the end"):
        chat.render(messages, tools, "user")


def test_no_template_for_one_request() -> None:
    messages: list[ChatMessage] = [SYSTEM, ChatMessageUser(content="the end")]
    prompt = renderer().render(messages, form="none")
    assert (prompt.text, prompt.plain) == ("be brief\nthe end", True)
    assert renderer(chat_template="none").render(messages) == prompt
    empty = renderer().render([ChatMessageUser(content="")], form="none")
    assert (empty.text, empty.ids) == ("", (BOS,))


def test_an_empty_text_needs_a_token_to_begin_with() -> None:
    chat = renderer()
    chat.tokenizer.bos_token = None
    with pytest.raises(LDAError, match=r"the prompt is empty.*no token to begin"):
        chat.render([ChatMessageUser(content="")], form="none")


async def test_requests_choose_their_form(make: MakeModel) -> None:
    model = make(alpha=0.5)
    prompts = {}
    for form in ("chat", "none", "user"):
        output = await ask(model, seed=1, extra_body={"lda": {"render": form}})
        assert output.usage is not None
        prompts[form] = output.usage.input_tokens
    assert prompts["none"] < prompts["user"] < prompts["chat"]
