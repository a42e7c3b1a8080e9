"""Endpoints that take text alone: continued only while the text means the same tokens.

Text is tokenised anew at every request. `tokenizer(decode(ids))` is another sequence
for about one prefix in eight of a small model at temperature 1 (split words, emoji),
and what is listed then follows tokens that were never sampled. So every prefix makes
the round trip before it is sent, and a token that comes back as text must be one
token's text and no other's; otherwise the rollout is an error.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from typing_extensions import override

from inspect_lda.engines.api.dialect import Capabilities, Ids
from inspect_lda.engines.api.endpoint import Endpoint
from inspect_lda.engines.api.errors import UnknownToken
from inspect_lda.engines.api.profile import Profile
from inspect_lda.engines.api.wire.answers import Reply
from inspect_lda.engines.api.wire.ask import Ask, together
from inspect_lda.engines.api.wire.base import Wire

_FIXED = "The capital of France is"


class Tokenizer(Protocol):
    """What is needed of a tokenizer, special tokens written out as text."""

    def encode(self, text: str) -> Ids:
        """Ids of a text, nothing added."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, nothing cleaned up."""
        ...

    def __len__(self) -> int:
        """Size of the vocabulary."""
        ...


class Text(Wire):
    """Speaks `/v1/completions` with text.

    Args:
        endpoint: Where to ask.
        profile: How to ask.
        able: What the endpoint was seen to do.
        tokenizer: The model's own tokenizer.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        profile: Profile,
        able: Capabilities,
        tokenizer: Tokenizer,
    ) -> None:
        super().__init__(endpoint, profile, able)
        self._tokenizer = tokenizer

    @override
    async def replies(self, prefixes: Sequence[Ids], ask: Ask) -> list[Reply]:
        if not ask.scores:
            raise self.endpoint.refuse(
                "drafts are not continued as text", "Leave drafting out: -M draft=0"
            )
        replies = await together([self._asked(prefix, ask) for prefix in prefixes])
        self.spend(prefixes, replies)
        return replies

    @property
    @override
    def fixed_prompt(self) -> Ids:
        return tuple(self._tokenizer.encode(_FIXED))

    def text_of(self, prefix: Ids) -> str:
        """The text of a prefix, if it means these tokens.

        Raises:
            AnswerError: If it is tokenised differently; names the place.
        """
        text = self._tokenizer.decode(prefix)
        again = tuple(self._tokenizer.encode(text))
        if again == prefix:
            return text
        pairs = enumerate(zip(prefix, again, strict=False))
        at = next((i for i, (a, b) in pairs if a != b), min(len(prefix), len(again)))
        there = self._tokenizer.decode(prefix[at : at + 3])
        raise self.endpoint.refuse(
            f"after {len(prefix)} tokens the text would be tokenised differently from "
            f"token {at} on ({there!r}), so it cannot be continued exactly as text",
            "Serve the model where prompts may be token ids (vLLM, SGLang, llama.cpp)",
        )

    async def _asked(self, prefix: Ids, ask: Ask) -> Reply:
        body = {
            **self.profile.always,
            **self.body([prefix], ask),
            **self.profile.asking(self.number(ask.k)),
            "model": self.endpoint.model,
            "prompt": self.text_of(prefix),
            "max_tokens": 1,
        }
        answer = await self.send(body, ask)
        try:
            [choice] = answer["choices"]
            entries = _most_likely(choice.get("logprobs") or {}, self.number(ask.k))
            self.check_read(prefix, (answer.get("usage") or {}).get("prompt_tokens"))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise self.endpoint.refuse(
                f"its answer cannot be read ({type(error).__name__}: {error})"
            ) from None
        step = tuple((self._id(text), value) for text, value in entries)
        # What was sampled is of no use, and may not have a text of its own.
        return Reply((), (step,), ended=choice.get("finish_reason") == "stop")

    def _id(self, text: str) -> int:
        found = self._ids.get(text, ())
        if len(found) != 1:
            raise self.endpoint.refuse(
                f"it names a token by the text {text!r}, which {len(found)} tokens "
                "have, so its id is not known",
                "Serve the model where tokens come back as ids (vLLM, SGLang, "
                "llama.cpp)",
                UnknownToken,
            )
        return found[0]

    @cached_property
    def _ids(self) -> Mapping[str, tuple[int, ...]]:
        table: dict[str, tuple[int, ...]] = {}
        for token in range(len(self._tokenizer)):
            text = self._tokenizer.decode((token,))
            table[text] = (*table.get(text, ()), token)
        return table


def _most_likely(logprobs: Mapping[str, Any], k: int) -> list[tuple[str, float]]:
    """The list of the one step, in chat or legacy form; its k most likely."""
    if logprobs.get("content"):
        tops = logprobs["content"][0]["top_logprobs"]
        entries = [(str(top["token"]), float(top["logprob"])) for top in tops]
    else:
        listed = (logprobs.get("top_logprobs") or [None])[0] or {}
        entries = [(str(text), float(value)) for text, value in listed.items()]
    return sorted(entries, key=lambda one: -one[1])[:k]
