"""The completions route of the OpenAI API, as vLLM, Fireworks and others serve it.

The original names tokens by their decoded text, and texts collide (a vocabulary of
49,152 ids had 48,824 different ones): a list keyed by text has lost entries, and no id
is certain. So a token is only taken by id, in any of the forms servers have for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from inspect_lda.engines.api.dialect import Ids
from inspect_lda.engines.api.wire.answers import Entry, Reply, reading
from inspect_lda.engines.api.wire.ask import Ask
from inspect_lda.engines.api.wire.base import Wire

_PREFIX = "token_id:"
"""vLLM's way of writing an id where the original has text."""


class NoIds(Exception):
    """A token is named by its text."""


class Completions(Wire):
    """Speaks `/v1/completions` with token ids."""

    @override
    async def replies(self, prefixes: Sequence[Ids], ask: Ask) -> list[Reply]:
        body = {
            **self.profile.always,
            **self.body(prefixes, ask),
            **self.profile.asking(self.number(ask.k)),
            "model": self.endpoint.model,
            "prompt": [list(prefix) for prefix in prefixes],
            "max_tokens": ask.n,
        }
        if ask.bias:
            body["logit_bias"] = {
                str(token): value for token, value in ask.bias.items()
            }
        if ask.given and self.profile.given is not None:
            body[self.profile.given] = sorted({t for ids in ask.given for t in ids})
        answer = await self.send(body, ask)
        try:
            with reading(self.endpoint):
                choices = sorted(answer["choices"], key=lambda one: one.get("index", 0))
                replies = [_reply(choice, bool(ask.given)) for choice in choices]
                self._check_prompts(prefixes, choices, answer.get("usage") or {})
        except NoIds as error:
            raise self.endpoint.refuse(
                f"it names tokens by text ({error}), and texts are not unique",
                "LDA needs ids: serve the model with vLLM, SGLang or llama.cpp",
            ) from None
        self.spend(prefixes, replies)
        return replies

    @override
    async def echo(self, ids: Ids) -> list[float | None] | None:
        if self.profile.echo is None:
            return None
        body = {
            **self.profile.always,
            **self.body([ids], Ask(k=1)),
            "model": self.endpoint.model,
            "prompt": [list(ids)],
            "max_tokens": 1,
        }
        if self.profile.echo == "echo":
            body |= {"echo": True, **self.profile.asking(1)}
        else:
            body |= {self.profile.echo: 1}
        answer = await self.send(body, Ask(k=1))
        try:
            [choice] = answer["choices"]
            if self.profile.echo == "echo":
                return list(choice["logprobs"]["token_logprobs"])[: len(ids)]
            listed = choice[self.profile.echo]
            return [
                None if one is None else float(one[str(token)]["logprob"])
                for token, one in zip(ids, listed, strict=True)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise self.endpoint.refuse(
                f"its prompt log-probabilities cannot be read ({error!r})"
            ) from None

    def _check_prompts(
        self,
        prefixes: Sequence[Ids],
        choices: Sequence[Mapping[str, Any]],
        usage: Mapping[str, Any],
    ) -> None:
        """Each prompt was read as it was sent, as far as the server says."""
        named = [choice.get("prompt_token_ids") for choice in choices]
        for prefix, read in zip(prefixes, named, strict=False):
            if read is not None and tuple(read) != prefix:
                raise self.endpoint.refuse(
                    "it read other prompt tokens than were sent",
                    "Prompts must be taken as they are: is token-id input supported?",
                )
        if None in named:
            sent = tuple(token for prefix in prefixes for token in prefix)
            self.check_read(sent, usage.get("prompt_tokens"))


def _reply(choice: Mapping[str, Any], given: bool) -> Reply:
    logprobs = choice.get("logprobs") or {}
    steps = _steps(logprobs)
    ids = choice.get("token_ids")
    if ids is not None:
        tokens = tuple(int(token) for token in ids)
    elif logprobs.get("content"):
        tokens = tuple(_id_of(one) for one in logprobs["content"])
    else:
        tokens = tuple(_id(name) for name in logprobs.get("tokens") or ())
    ended = choice.get("finish_reason") == "stop"
    if given:
        return Reply(tokens, (), given=tuple(s or () for s in steps), ended=ended)
    return Reply(tokens, steps, ended=ended)


def _steps(logprobs: Mapping[str, Any]) -> tuple[tuple[Entry, ...] | None, ...]:
    """Both forms: a list of objects (chat style), or one mapping a token (legacy)."""
    if logprobs.get("content") is not None:
        return tuple(
            tuple((_id_of(top), float(top["logprob"])) for top in one["top_logprobs"])
            for one in logprobs["content"]
        )
    return tuple(
        None if one is None else tuple((_id(n), float(v)) for n, v in one.items())
        for one in logprobs.get("top_logprobs") or ()
    )


def _id_of(one: Mapping[str, Any]) -> int:
    for name in ("token_id", "id"):
        if isinstance(one.get(name), int):
            return int(one[name])
    return _id(one.get("token"))


def _id(name: object) -> int:
    text = str(name)
    if not text.startswith(_PREFIX):
        raise NoIds(repr(text[:40]))
    return int(text.removeprefix(_PREFIX))
