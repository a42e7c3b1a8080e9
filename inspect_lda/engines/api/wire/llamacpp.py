"""llama.cpp's own server, by its native route.

Its OpenAI routes drop token ids; the native one returns every sampled id. Two traps of
it are met here (llama.cpp as of 2026-10, both have a test):

- A sampled token that is an incomplete UTF-8 sequence takes its log-probabilities with
  it. To score, a complete token is forced through `logit_bias`: listings are made from
  the logits before any bias. A draft that misses listings is scored anew.
- The server's samplers (top-k 40, top-p 0.95, min-p 0.05, temperature 0.8) act where a
  request does not name its own.
"""

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from inspect_lda.engines.api.dialect import Ids
from inspect_lda.engines.api.wire.answers import Entry, Reply, reading
from inspect_lda.engines.api.wire.ask import Ask
from inspect_lda.engines.api.wire.base import Wire

_FORCE = 1e6
"""Added to the logit of the forced token; above any other."""
_FIELDS = ("tokens", "completion_probabilities", "stop_type", "tokens_evaluated")
_TEXT = "a"
"""Tokenised to find a token that is complete text by itself."""


class LlamaCpp(Wire):
    """Speaks `/completion` of llama.cpp's server."""

    _forced: int | None = None

    @override
    async def replies(self, prefixes: Sequence[Ids], ask: Ask) -> list[Reply]:
        bias = [[token, value] for token, value in ask.bias.items()]
        if ask.scores:
            bias.append([await self._complete_token(), _FORCE])
        body = {
            **self.profile.always,
            **self.body(prefixes, ask),
            **self.profile.asking(self.number(ask.k)),
            "model": self.endpoint.model,
            "prompt": [list(prefix) for prefix in prefixes],
            "n_predict": ask.n,
            "logit_bias": bias,
            "response_fields": list(_FIELDS),
        }
        answer = await self.send(body, ask)
        results = answer if isinstance(answer, list) else [answer]
        with reading(self.endpoint, "Is it llama.cpp's own server, of 2025 or later?"):
            replies = [self._reply(result) for result in results]
            for prefix, result in zip(prefixes, results, strict=False):
                self.check_read(prefix, result.get("tokens_evaluated"))
        self.spend(prefixes, replies)
        return replies

    def _reply(self, result: dict[str, Any]) -> Reply:
        tokens = tuple(int(token) for token in result["tokens"])
        listed = result.get("completion_probabilities") or []
        aligned = [one["id"] for one in listed] == list(tokens)
        steps = (
            tuple(_entries(one["top_logprobs"]) for one in listed)
            if aligned
            else (None,) * len(tokens)
        )
        return Reply(tokens, steps, ended=result["stop_type"] == "eos")

    async def _complete_token(self) -> int:
        """An id whose text is whole by itself; found once."""
        if self._forced is None:
            answer = await self.endpoint.post(
                "/tokenize", {"content": _TEXT, "add_special": False}
            )
            ids = answer.get("tokens") if isinstance(answer, dict) else None
            if not ids or not isinstance(ids[-1], int):
                raise self.endpoint.refuse(f"it cannot tokenise the text {_TEXT!r}")
            self._forced = ids[-1]
        return self._forced


def _entries(listed: Sequence[dict[str, Any]]) -> tuple[Entry, ...]:
    return tuple((int(one["id"]), float(one["logprob"])) for one in listed)
