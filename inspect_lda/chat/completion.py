"""Completions to text: what of the sampled tokens a reader of the message sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai.model import (
    ChatMessageAssistant,
    Content,
    ContentReasoning,
    ContentText,
    Logprob,
    Logprobs,
    TopLogprob,
)
from inspect_ai.tool import ToolCall, ToolInfo

from inspect_lda.chat.lengths import added_lengths
from inspect_lda.chat.render import Prompt
from inspect_lda.chat.tools import as_functions, calls_of_message, parse_calls
from inspect_lda.engines.base import Completion, TokenLogprobs
from inspect_lda.settings import Settings


@dataclass(frozen=True)
class Reader:
    """Turns the tokens of completions into messages.

    Attributes:
        tokenizer: The tokenizer of `after`.
        model: Model name the messages carry.
    """

    tokenizer: Any
    model: str

    def message(
        self,
        prompt: Prompt,
        completion: Completion,
        settings: Settings,
        tools: Sequence[ToolInfo],
    ) -> ChatMessageAssistant:
        """The assistant message of one completion."""
        tokens = list(completion.tokens)
        raw, stopped = _cut(self._decode(prompt, tokens, special=True), settings.stop)
        ended = completion.stop_reason == "stop" and not stopped
        if ended:  # neither a stop string nor a limit: the last token ends the turn
            raw = self._decode(prompt, tokens[:-1], special=True)
            tokens = tokens[:-1]
        text, _ = _cut(self._decode(prompt, tokens, special=False), settings.stop)
        calls: list[ToolCall] = []
        if tools:
            text, calls = self._tool_calls(prompt, text, raw, tools)
            calls = calls if settings.parallel_tools else calls[:1]
        return ChatMessageAssistant(
            content=_content(text, prompt),
            tool_calls=calls or None,
            model=self.model,
            source="generate",
        )

    def lengths(
        self, prompt: Prompt, completion: Completion, text: str
    ) -> tuple[int, ...] | None:
        """How many characters of the message's text each token added.

        None where the text is not what the tokens write from the first one on:
        reasoning or calls were taken out of it.
        """

        def decode(tokens: list[int]) -> str:
            return self._decode(prompt, tokens, special=False)

        return added_lengths(completion.tokens, text, decode)

    def logprobs(self, steps: Sequence[TokenLogprobs] | None) -> Logprobs | None:
        """Log-probabilities of every sampled token, the end of turn included.

        They are taken under the amplified distribution that was sampled from.
        Alternatives that it cannot produce are left out.
        """
        if steps is None:
            return None
        content = []
        for step in steps:
            token, data = self._token(step.token)
            top = []
            for other, logprob, _, _ in step.top:
                if logprob > float("-inf"):
                    text, encoded = self._token(other)
                    top.append(TopLogprob(token=text, logprob=logprob, bytes=encoded))
            content.append(
                Logprob(
                    token=token,
                    logprob=step.logprob,
                    bytes=data,
                    top_logprobs=top or None,
                )
            )
        return Logprobs(content=content)

    def _tool_calls(
        self, prompt: Prompt, text: str, raw: str, tools: Sequence[ToolInfo]
    ) -> tuple[str, list[ToolCall]]:
        """Calls are read from the raw text: their marks are often special tokens."""
        if getattr(self.tokenizer, "response_template", None):
            try:
                parsed = self.tokenizer.parse_response(
                    raw, prefix=prompt.text, tools=as_functions(tools)
                )
            except ValueError:  # not well-formed: our formats can say what is wrong
                parsed = {}
            calls = calls_of_message(parsed)
            if calls:
                return str(parsed.get("content") or "").strip(), calls
        rest, calls = parse_calls(raw)
        if not calls:
            return text, []
        for token in self.tokenizer.all_special_tokens:
            rest = rest.replace(token, "")
        return rest.strip(), calls

    def _decode(self, prompt: Prompt, tokens: list[int], *, special: bool) -> str:
        def decode(ids: list[int]) -> str:
            text: str = self.tokenizer.decode(
                ids, skip_special_tokens=not special, clean_up_tokenization_spaces=False
            )
            return text

        if prompt.continued:
            # SentencePiece drops the leading space of a text decoded alone, and here
            # the text is the middle of a message.
            before = list(prompt.ids[-4:])
            head, whole = decode(before), decode(before + tokens)
            if whole.startswith(head):
                return whole[len(head) :]
        return decode(tokens)

    def _token(self, token: int) -> tuple[str, list[int] | None]:
        text: str = self.tokenizer.decode(
            [token], skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        # Half a character decodes to U+FFFD, whose bytes are not the token's.
        return text, None if "\ufffd" in text else list(text.encode())


def _cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """Cut a text where the earliest stop string begins."""
    found = [at for at in (text.find(string) for string in stop) if at >= 0]
    return (text[: min(found)], True) if found else (text, False)


def _content(text: str, prompt: Prompt) -> str | list[Content]:
    """Split `<think>` reasoning off, also where the prompt opened it."""
    opened = not prompt.continued and prompt.text.rstrip().endswith("<think>")
    body = text.lstrip()
    if not opened and not body.startswith("<think>"):
        return text
    reasoning, _, answer = body.removeprefix("<think>").partition("</think>")
    return [
        ContentReasoning(reasoning=reasoning.strip()),
        ContentText(text=answer.strip()),
    ]
