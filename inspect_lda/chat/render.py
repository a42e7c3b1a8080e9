"""Rendering: Inspect's messages to token ids, once, with `after`'s chat template.

The same ids go to both checkpoints. The template writes every special token itself, so
its text is tokenised without adding any: a second BOS would be a prompt that neither
checkpoint was trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from inspect_ai.model import ChatMessage, ChatMessageAssistant
from inspect_ai.tool import ToolInfo

from inspect_lda.chat import RenderForm
from inspect_lda.chat.messages import Message, as_dict, join, merge_users, with_system
from inspect_lda.chat.templates import PLAIN, fit_call_ids, read_template, shows_tools
from inspect_lda.chat.tools import as_functions, describe_tools
from inspect_lda.errors import LDAError

_SLOT = "lda_user_slot"


@dataclass(frozen=True)
class Prompt:
    """A rendered conversation.

    Attributes:
        ids: Its token ids.
        text: What they were tokenised from.
        continued: The completion continues a message instead of starting one.
        plain: No chat template was used: the tokenizer adds its special tokens.
    """

    ids: tuple[int, ...]
    text: str
    continued: bool
    plain: bool = False


class ChatRenderer:
    """Renders with one tokenizer and one template.

    Args:
        tokenizer: The tokenizer of `after`.
        checkpoint: Its name, for error texts.
        chat_template: A Jinja file, "none" for plain text, or None for the tokenizer's.
        enable_thinking: Handed to the template if not None.

    Raises:
        LDAError: If there is no template or the file cannot be read.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        checkpoint: str,
        chat_template: str | None = None,
        enable_thinking: bool | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self._plain = chat_template == PLAIN
        self._template = read_template(tokenizer, checkpoint, chat_template)
        self._variables: dict[str, Any] = (
            {} if enable_thinking is None else {"enable_thinking": enable_thinking}
        )

    def render(
        self,
        messages: Sequence[ChatMessage],
        tools: Sequence[ToolInfo] = (),
        form: RenderForm = "chat",
    ) -> Prompt:
        """Render a conversation; a trailing assistant message is continued.

        Args:
            messages: The conversation.
            tools: Tools the model may call.
            form: "chat" applies the template; "none" joins the texts of the messages;
                "user" stops inside the last message, a user's, which the model then
                goes on writing (its text may be empty).

        Raises:
            LDAError: If the conversation is empty, holds media, or the template
                refuses it; if `form` does not fit it.
        """
        dicts = [as_dict(m, native=self._native_tools) for m in messages]
        if form == "user":
            return self._render_user(dicts, tools)
        if form == "none" or self._plain:
            return self._render_plain(dicts, tools)
        if not any(m["content"].strip() or m.get("tool_calls") for m in dicts):
            raise LDAError(
                "the prompt is empty: no message holds any text. Give at least one "
                "message with text"
            )
        last = messages[-1]
        continued = isinstance(last, ChatMessageAssistant) and not last.tool_calls
        if continued and not dicts[-1]["content"].strip():
            dicts, continued = dicts[:-1], False
        if tools and not self._native_tools:
            dicts = with_system(dicts, describe_tools(tools))
        functions = as_functions(tools) if tools and self._native_tools else None
        text = self._apply_or_explain(merge_users(dicts), functions, continued)
        return Prompt(self._encode(text, special=False), text, continued)

    def continuation(self, prompt: Prompt, target: str) -> tuple[int, ...]:
        """Token ids of `target` written right after the prompt, whose ids stay.

        Raises:
            LDAError: If no tokenisation of the target leaves the prompt unchanged.
        """
        joint = self._encode(prompt.text + target, special=prompt.plain)
        size = len(prompt.ids)
        if joint[:size] == prompt.ids and len(joint) > size:
            return joint[size:]
        # The target's first letters merged into the prompt's last token: sampling could
        # never write that, so the target's own tokens are what is meant.
        alone = self._encode(target, special=False)
        whole = self._decode(prompt.ids + alone)
        if alone and whole == self._decode(prompt.ids) + target:
            return alone
        raise LDAError(
            f"score target {target!r} cannot be tokenised after this prompt without "
            "changing the prompt's own tokens. Begin the target with another "
            "character, e.g. with or without a leading space"
        )

    @cached_property
    def _native_tools(self) -> bool:
        if self._plain:
            return False
        return shows_tools(lambda messages, tools: self._apply(messages, tools, False))

    def _render_plain(
        self, dicts: Sequence[Message], tools: Sequence[ToolInfo]
    ) -> Prompt:
        if tools:
            raise LDAError(
                "tools need a chat template, and -M chat_template=none or a request's "
                "render='none' switches it off. Leave that out"
            )
        text = "\n".join(message["content"] for message in dicts)
        ids = self._encode(text, special=True)
        if not text.strip() and len(ids) == 0:
            ids = self._begin()
        return Prompt(ids, text, continued=True, plain=True)

    def _begin(self) -> tuple[int, ...]:
        bos = self.tokenizer.bos_token_id
        if bos is None:
            raise LDAError(
                "the prompt is empty, and the tokenizer has no token to begin a text "
                "with. Give at least one message with text"
            )
        return (bos,)

    def _render_user(
        self, dicts: Sequence[Message], tools: Sequence[ToolInfo]
    ) -> Prompt:
        if self._plain or tools or dicts[-1]["role"] != "user":
            raise LDAError(
                "render='user' leaves the last user turn open: it needs a chat "
                "template, a user message at the end, and no tools"
            )
        slot = {**dicts[-1], "content": _SLOT}
        whole = self._apply_or_explain([*dicts[:-1], slot], None, continued=False)
        text = whole[: whole.index(_SLOT)] + dicts[-1]["content"]
        return Prompt(self._encode(text, special=False), text, continued=True)

    def _apply_or_explain(
        self,
        dicts: list[Message],
        functions: list[dict[str, Any]] | None,
        continued: bool,
    ) -> str:
        from jinja2 import TemplateError

        try:
            return self._apply(dicts, functions, continued)
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            if dicts[0]["role"] == "system" and len(dicts) > 1:
                # Some templates (Gemma's) refuse the system role: say it in the turn.
                folded = [{**dicts[1], "content": join(dicts[0], dicts[1])}, *dicts[2:]]
                return self._apply_or_explain(folded, functions, continued)
            roles = ", ".join(message["role"] for message in dicts)
            raise LDAError(
                f"the chat template refused this conversation ({roles}): {error}. "
                "Change the messages, or give a template with -M chat_template=<file>"
            ) from error

    def _apply(
        self,
        dicts: list[Message],
        functions: list[dict[str, Any]] | None,
        continued: bool,
    ) -> str:
        text: str = self.tokenizer.apply_chat_template(
            fit_call_ids(dicts, self._template or self.tokenizer.chat_template),
            tools=functions,
            chat_template=self._template,
            add_generation_prompt=not continued,
            continue_final_message=continued,
            tokenize=False,
            **self._variables,
        )
        return text

    def _encode(self, text: str, *, special: bool) -> tuple[int, ...]:
        ids = tuple(self.tokenizer(text, add_special_tokens=special)["input_ids"])
        bos = self.tokenizer.bos_token_id
        if bos is not None and ids[:2] == (bos, bos):
            return ids[1:]
        return ids

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text
